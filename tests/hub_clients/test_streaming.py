"""Streaming domains from the Hub, by processes of users, on good days and bad ones."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image_datasets
import pytest

from tests.hub import ROLES, WRONG_TOKEN, Hub

HERE = Path(__file__).parent
TOKENS = [role.token for role in ROLES.values()] + [WRONG_TOKEN]

SHARDS = {"train": (7, 3, 12), "validation": (5,), "test": (7, 3, 12)}
IDS = image_datasets.split_ids(SHARDS)
PARQUET, WEBDATASET = "org/parquet", "org/webdataset"
TRAIN = r"/resolve/[0-9a-f]{40}/(data/)?train"


class Streamer:
    """A process that streams what it is told; what it says is kept."""

    def __init__(self, hub: Hub, root: Path) -> None:
        self.said: list[str] = []
        self.errors = root / "streamer.log"
        self.process = subprocess.Popen(
            [sys.executable, "-u", HERE / "streamer.py"],
            env=hub.environment(None),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors.open("w"),
            text=True,
        )

    def order(self, name: str, role: str | None, token: str, passes: int, wait: bool, **arguments: Any) -> None:
        streamed = {"dataset_name": name, "streaming": True, **arguments}
        order = {"arguments": streamed, "passes": passes, "wait_for": wait}
        order["token"] = token or (ROLES[role].token if role is not None else None)
        self.tell(json.dumps(order))

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def hear(self) -> str:
        assert self.process.stdout is not None
        self.said.append(self.process.stdout.readline())
        assert self.said[-1], self.errors.read_text()
        return self.said[-1]

    def __call__(
        self, name: str, role: str | None = None, token: str = "", passes: int = 1, **arguments: Any
    ) -> dict[str, Any]:
        self.order(name, role, token, passes, False, **arguments)
        return json.loads(self.hear())

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def _publish(hub: Hub, root: Path, plan: list[dict[str, Any]]) -> None:
    (root / "plan.json").write_text(json.dumps([{"type": "dataset", **each} for each in plan], default=str))
    command = [sys.executable, HERE / "published.py", root / "plan.json"]
    subprocess.run(command, env=hub.environment("owner"), check=True, timeout=120, capture_output=True)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with data sets on it; `org/moving` has the tag v1 on its first commit, without the last shards."""
    root = tmp_path_factory.mktemp("stocked")
    parquet = image_datasets.write_parquet(root / "parquet", SHARDS)
    earlier = image_datasets.write_parquet(root / "earlier", {**SHARDS, "train": (7, 3)})
    unvalidated = image_datasets.write_parquet(root / "unvalidated", {"train": (30, 6, 14), "test": (9,)})
    plan = [
        {"name": PARQUET, "commits": [parquet]},
        {"name": WEBDATASET, "commits": [image_datasets.write_webdataset(root / "webdataset", SHARDS)]},
        {"name": "org/moving", "commits": [earlier, parquet], "tag": "v1"},
        {"name": "org/unvalidated", "commits": [unvalidated]},
        {"name": "org/private", "commits": [parquet], "private": True},
        {"name": "org/gated", "commits": [parquet], "gated": True},
    ]
    with Hub(root / "hub") as hub:
        _publish(hub, root, plan)
        yield hub
        assert [str(visit) for visit in hub.visits if visit.status == 501] == []


@pytest.fixture(scope="module")
def streamer(stocked: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamer]:
    started = Streamer(stocked, tmp_path_factory.mktemp("streamer"))
    yield started
    started.end()
    said = "".join(started.said) + started.errors.read_text()
    assert PARQUET in said and not [token for token in TOKENS if token in said]


@pytest.fixture(autouse=True)
def good_day(stocked: Hub) -> Iterator[None]:
    yield
    stocked.heal()


def _ids(answer: dict[str, Any], epoch: int = 0) -> list[int]:
    assert "error" not in answer, answer
    return [identity for identity, _ in answer["passes"][epoch]]


# ---- what is streamed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [PARQUET, WEBDATASET])
def test_a_stream_is_what_was_pushed(streamer, name):
    answer = streamer(name, passes=2, shuffle_buffer_size=0)
    assert _ids(answer, 0) == _ids(answer, 1) == IDS["train"]
    for role in ("validation", "test"):
        assert answer[role]["ids"] == IDS[role] and answer[role]["rows"] == list(range(len(IDS[role])))
    assert len(set(answer["class_names"])) == 6
    shuffled = streamer(name, passes=2, shuffle_buffer_size=6)
    assert sorted(_ids(shuffled, 0)) == sorted(_ids(shuffled, 1)) == sorted(IDS["train"])
    assert len({tuple(each) for each in (_ids(shuffled, 0), _ids(shuffled, 1), IDS["train"])}) == 3
    assert streamer(name, passes=2, shuffle_buffer_size=6)["passes"] == shuffled["passes"]
    assert Counter(map(tuple, shuffled["passes"][0])) == Counter(map(tuple, answer["passes"][0]))


def test_labels_may_be_a_field_of_a_webdatasets_json(streamer):
    answer = streamer(WEBDATASET, label_column_name="json.class", shuffle_buffer_size=0)
    assert answer["class_names"] == [f"class {label}" for label in range(6)]
    assert _ids(answer) == IDS["train"] and answer["test"]["ids"] == IDS["test"]
    by_number = streamer(WEBDATASET, shuffle_buffer_size=0)
    assert by_number["passes"] == answer["passes"] and by_number["class_names"] == [str(label) for label in range(6)]
    on_disk = streamer(WEBDATASET, streaming=False, label_column_name="json.class")
    assert _ids(on_disk) == IDS["train"] and on_disk["test"] == answer["test"]
    refused = streamer(WEBDATASET, label_column_name="json.species")["error"]
    assert "label_column_name 'json.species' is no column" in refused


# ---- workers and processes ------------------------------------------------------------------------------------------


def _trained(
    hub: Hub, dataset: str, location: str, folder: Path, processes: int, workers: list[int]
) -> list[list[dict[str, list[int]]]]:
    """What each process saw, for each number of workers."""
    folder.mkdir()
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    finished = subprocess.run(
        [sys.executable, *launch, HERE / "stream_training.py", dataset, location, folder, str(4 // processes)]
        + [str(each) for each in workers],
        env=hub.environment(None) | {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert not [token for token in TOKENS if token in finished.stdout + finished.stderr]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(processes)]


@pytest.mark.parametrize("dataset", [PARQUET, pytest.param(WEBDATASET, marks=pytest.mark.slow)])
def test_processes_and_workers_see_every_image_once_a_pass(stocked, small_backbones, tmp_path, dataset):
    location = small_backbones["timm_resnet"]
    ((alone, helped),) = _trained(stocked, dataset, location, tmp_path / "one", 1, [0, 2])
    first, second = _trained(stocked, dataset, location, tmp_path / "two", 2, [2])
    assert len(alone["seen"]) == 88
    for start in range(0, 88, 22):
        assert sorted(alone["seen"][start : start + 22]) == sorted(IDS["train"])
    assert alone["seen"][:22] != alone["seen"][22:44]
    assert helped["seen"] == alone["seen"]
    pairs = [zip(each[0]["seen"][::2], each[0]["seen"][1::2], strict=True) for each in (first, second)]
    assert [each for step in zip(*pairs, strict=True) for pair in step for each in pair] == alone["seen"]
    for role in ("validation", "test"):
        for outcome in (alone, helped, first[0], second[0]):
            assert outcome[role] == IDS[role]
