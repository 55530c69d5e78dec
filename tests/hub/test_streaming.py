"""Streaming domains from the Hub, by processes of users, on good days and bad ones."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image_datasets
import pytest
import warm_python

from tests.loopback_hub import ROLES, WRONG_TOKEN, Hub

HERE = Path(__file__).parent
TOKENS = [role.token for role in ROLES.values()] + [WRONG_TOKEN]

SHARDS = {"train": (7, 3, 12), "validation": (5,), "test": (7, 3, 12)}
IDS = image_datasets.split_ids(SHARDS)
PARQUET, WEBDATASET = "org/parquet", "org/webdataset"
TRAIN = r"/resolve/[0-9a-f]{40}/(data/)?train"

STATED = """---
dataset_info:
  splits:
  - {name: train, num_examples: 22}
  - {name: validation, num_examples: 5}
  - {name: test, num_examples: 22}
---
"""
CONFIGS = """---
configs:
- {config_name: first, data_files: [{split: train, path: data/train-*}, {split: test, path: data/test-*}]}
- {config_name: second, data_files: [{split: train, path: data/test-*}, {split: test, path: data/train-*}]}
---
"""
ROW = (
    "domains:\n  - {{name: patches, title: Patches, id: {name}, format: parquet, label_column: label, num_classes: 6, "
    "group: similar, verified: false, validation_split: validation, expected_sizes: {sizes}}}\nknown_bad: []\n"
)


class Streamer:
    """A process that streams what it is told; what it says is kept."""

    def __init__(self, hub: Hub) -> None:
        self.said: list[str] = []
        self.process = warm_python.start([HERE / "streamer.py"], hub.environment(None), piped=True)

    def order(
        self, name: str, role: str | None, token: str, passes: int, wait: bool, registry: str = "", **arguments: Any
    ) -> None:
        streamed = {"dataset_name": name, "streaming": True, **arguments}
        order = {"arguments": streamed, "passes": passes, "wait_for": wait, "registry": registry}
        order["token"] = token or (ROLES[role].token if role is not None else None)
        self.tell(json.dumps(order))

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def hear(self) -> str:
        assert self.process.stdout is not None
        self.said.append(self.process.stdout.readline())
        assert self.said[-1], self.process.errors
        return self.said[-1]

    def __call__(
        self, name: str, role: str | None = None, token: str = "", passes: int = 1, **arguments: Any
    ) -> dict[str, Any]:
        self.order(name, role, token, passes, False, **arguments)
        return json.loads(self.hear())

    def end(self) -> None:
        self.process.communicate()


def _publish(hub: Hub, root: Path, plan: list[dict[str, Any]]) -> None:
    (root / "plan.json").write_text(json.dumps([{"type": "dataset", **each} for each in plan], default=str))
    warm_python.run([HERE / "published.py", root / "plan.json"], env=hub.environment("owner"), check=True)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with data sets on it; `org/moving` has the tag v1 on its first commit, without the last shards."""
    root = tmp_path_factory.mktemp("stocked")
    parquet = image_datasets.write_parquet(root / "parquet", SHARDS)
    earlier = image_datasets.write_parquet(root / "earlier", {**SHARDS, "train": (7, 3)})
    unvalidated = image_datasets.write_parquet(root / "unvalidated", {"train": (30, 6, 14), "test": (9,)})
    stated = image_datasets.write_parquet(root / "stated", SHARDS)
    (stated / "README.md").write_text(STATED)
    configs = image_datasets.write_parquet(root / "configs", SHARDS)
    (configs / "README.md").write_text(CONFIGS)
    coded = root / "coded"
    coded.mkdir()
    (coded / "coded.py").write_text("raise SystemExit('this must never run')")
    plan = [
        {"name": PARQUET, "commits": [parquet]},
        {"name": WEBDATASET, "commits": [image_datasets.write_webdataset(root / "webdataset", SHARDS)]},
        {"name": "org/moving", "commits": [earlier, parquet], "tag": "v1"},
        {"name": "org/unvalidated", "commits": [unvalidated]},
        {"name": "org/stated", "commits": [stated]},
        {"name": "org/large", "commits": [image_datasets.write_large_parquet(root / "large", 40, 1_700_000)]},
        {"name": "org/configs", "commits": [configs]},
        {"name": "org/coded", "commits": [coded]},
        {"name": "org/numbers", "commits": [image_datasets.write_parquet(root / "numbers", SHARDS, plain=True)]},
        {"name": "org/private", "commits": [parquet], "private": True},
        {"name": "org/gated", "commits": [parquet], "gated": True},
    ]
    with Hub(root / "hub") as hub:
        _publish(hub, root, plan)
        yield hub
        assert [str(visit) for visit in hub.visits if visit.status == 501] == []


@pytest.fixture(scope="module")
def streamer(stocked: Hub) -> Iterator[Streamer]:
    started = Streamer(stocked)
    yield started
    started.end()
    said = "".join(started.said) + started.process.errors
    assert not [token for token in TOKENS if token in said]


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
    assert "label_column_name 'json.species' is not a column" in refused


# ---- workers and processes ------------------------------------------------------------------------------------------


def _trained(
    hub: Hub, dataset: str, location: str, folder: Path, processes: int, workers: list[int]
) -> list[list[dict[str, list[int]]]]:
    """What each process saw, for each number of workers."""
    folder.mkdir()
    command = [HERE / "stream_training.py", dataset, location, folder, str(4 // processes), *map(str, workers)]
    environment = hub.environment(None) | {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    if processes > 1:
        said = "".join(warm_python.run_together(command, environment, processes))
    else:
        finished = warm_python.run(command, environment, check=True)
        said = finished.stdout + finished.stderr
    assert not [token for token in TOKENS if token in said]
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


def test_of_labels_that_are_no_classes_parquet_gives_the_column_alone(streamer, stocked):
    before = len(stocked.visits)
    answer = streamer("org/numbers", shuffle_buffer_size=0, passes=0)
    assert answer["class_names"] == [str(label) for label in range(6)]
    # The last shard is larger than the part at its end that a reader of parquet begins with, where the labels are.
    (read,) = [visit for visit in stocked.visits[before:] if "train-00002" in visit.path]
    assert read.sent == 65_536


# ---- which commit ---------------------------------------------------------------------------------------------------


def test_every_split_is_of_the_commit_that_the_revision_was_at_first(streamer, stocked, tmp_path):
    later, tagged = streamer("org/moving"), streamer("org/moving", dataset_revision="v1")
    assert len(_ids(tagged)) == 10 and len(_ids(later)) == 32  # the second commit adds its shards to the first's
    assert re.fullmatch("org/moving@[0-9a-f]{40}", tagged["found"]) and tagged["found"] != later["found"]
    assert tagged["found"] in tagged["train"] and later["found"] in later["train"]
    commit = tagged["found"].partition("@")[2]
    assert streamer("org/moving", dataset_revision=commit)["passes"] == tagged["passes"]
    streamer.order("org/moving", None, "", 1, True)
    assert streamer.hear() == "waiting\n"
    smaller = image_datasets.write_parquet(tmp_path / "smaller", {**SHARDS, "train": (3, 3, 3)})
    _publish(stocked, tmp_path, [{"name": "org/moving", "commits": [smaller]}])
    streamer.tell("")
    assert json.loads(streamer.hear())["passes"] == later["passes"]
    assert len(_ids(streamer("org/moving"))) == 19


def test_split_sizes_are_those_that_the_registry_expects(streamer, stocked):
    right = ROW.format(name=PARQUET, sizes="{train: 22, validation: 5, test: 22}")
    assert sorted(_ids(streamer("patches", registry=right))) == sorted(IDS["train"])
    counted = streamer("patches", registry=ROW.format(name=PARQUET, sizes="{test: 23}"))
    assert "split 'test' of patches has 22 images instead of 23: the dataset has changed" in counted["error"]
    wrong = ROW.format(name=PARQUET, sizes="{train: 21}")
    counted = streamer("patches", registry=wrong, shuffle_buffer_size=0)
    assert "split 'train' of patches has 22 images instead of 21: the dataset has changed" in counted["error"]
    assert len(counted["passes"][0]) == 22  # counted while it was trained on
    before = len(stocked.visits)
    stated = streamer("patches", registry=ROW.format(name="org/stated", sizes="{train: 21}"))
    assert "split 'train' of patches has 22 images instead of 21" in stated["error"] and stated["passes"] == []
    assert not [visit for visit in stocked.visits[before:] if re.search(TRAIN, visit.path) and "-00002" in visit.path]


# ---- unavailable datasets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (
            {"name": "org/none"},
            "there is no datasets/org/none on http://.*, or it is private and an anonymous visitor",
        ),
        ({"name": "org/private"}, "there is no datasets/org/private .*log in with `hf auth login`"),
        ({"name": "org/private", "role": "nobody"}, "it is private and the account whose token was sent can't see it"),
        (
            {"name": "org/gated", "role": "nobody"},
            "datasets/org/gated is gated.*request it at http://.*org/gated",
        ),
        ({"name": PARQUET, "token": WRONG_TOKEN}, "the Hub rejects the token that was sent; log in again"),
        ({"name": PARQUET, "dataset_revision": "v9"}, "datasets/org/parquet has no branch, tag or commit 'v9'"),
        (
            {"name": PARQUET, "dataset_config_name": "x"},
            "no configuration 'x'; .*--dataset_config_name, one of: default",
        ),
        ({"name": "org/configs"}, "needs a configuration; give --dataset_config_name, one of: first, second"),
        ({"name": "org/coded"}, "datasets/org/coded needs code from its repository, which is never run"),
        ({"name": "/no/where"}, "there is no such folder or file"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("streaming", [True, False])
def test_what_cannot_be_had_is_said_in_a_sentence(streamer, order, said, streaming):
    error = streamer(**order, streaming=streaming)["error"]
    assert error.startswith(f"dataset_name {order['name']!r} could not be loaded: ") and "\n" not in error
    assert re.search(said, error), error


def test_a_configuration_is_what_its_card_says(streamer):
    answer = streamer("org/configs", dataset_config_name="second", shuffle_buffer_size=0, train_val_split=0.4)
    held_out, test = answer["validation"]["ids"], answer["test"]["ids"]
    assert test == IDS["train"] and sorted(_ids(answer) + held_out) == sorted(IDS["test"])


def test_members_stream_private_and_gated_data_sets(streamer):
    for name in ("org/private", "org/gated"):
        assert _ids(streamer(name, role="reader", shuffle_buffer_size=0)) == IDS["train"]


# ---- bad days -------------------------------------------------------------------------------------------------------

PASSING = [
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    {"kind": "drop"},
    {"kind": "truncate"},
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: str(fault.get("status", fault["kind"])))
@pytest.mark.parametrize("name", [PARQUET, WEBDATASET])
def test_a_fault_that_passes_loses_and_doubles_no_image(streamer, stocked, name, fault):
    expected = streamer(name, shuffle_buffer_size=6)
    streamer.order(name, None, "", 1, True, shuffle_buffer_size=6)
    assert streamer.hear() == "waiting\n"
    stocked.fail(**fault, path=TRAIN, method="GET", times=2, skip=1)
    before = len(stocked.visits)
    streamer.tell("")
    assert json.loads(streamer.hear())["passes"] == expected["passes"]
    assert len([visit for visit in stocked.visits[before:] if visit.fault]) == 2


@pytest.mark.parametrize("skip", [2, 3])
def test_a_shard_that_breaks_off_in_its_middle_is_gone_on_with(streamer, stocked, skip):
    """Its end and its first 32 MB arrive; the client tries the next part six times, then the shard is opened again."""
    options = {"train_val_split": 0.05, "shuffle_buffer_size": 0}
    expected = streamer("org/large", **options)
    assert len(_ids(expected)) + len(expected["validation"]["ids"]) == 40
    streamer.order("org/large", None, "", 1, True, **options)
    assert streamer.hear() == "waiting\n"
    stocked.fail("status", path=TRAIN, method="GET", times=7, skip=skip)
    before = len(stocked.visits)
    streamer.tell("")
    answer = json.loads(streamer.hear())
    assert answer["passes"] == expected["passes"]
    visits = [visit for visit in stocked.visits[before:] if re.search(TRAIN, visit.path)]
    assert [visit.status for visit in visits] == [206] * skip + [503] * 7 + [206] * 4
    assert "answers 503 for datasets/org/large; attempt 2 of 4 follows" in answer["log"]


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "drop"}, {"kind": "stop"}], ids=str)
@pytest.mark.parametrize("name", [PARQUET, WEBDATASET])
def test_a_fault_that_lasts_ends_in_a_sentence(streamer, stocked, name, fault):
    streamer.order(name, None, "", 1, True, shuffle_buffer_size=0)
    assert streamer.hear() == "waiting\n"
    stocked.fail(**fault, path=TRAIN, method="GET", times=1000, skip=2)
    streamer.tell("")
    answer = json.loads(streamer.hear())
    assert re.match("the Hub (has a fault|at http.* can't be reached)", answer["error"]), answer
    assert f"datasets/{name}" in answer["error"] and "run this again" in answer["error"]
    seen = [identity for identity, _ in answer["passes"][0]]
    assert 0 < len(seen) < 22 and seen == IDS["train"][: len(seen)]
    assert "attempt 4 of 4 follows" in answer["log"]
    stocked.heal()
    assert _ids(streamer(name, shuffle_buffer_size=0)) == IDS["train"]


@pytest.mark.parametrize("streaming", [True, False])
def test_the_hub_down_at_the_start(streamer, stocked, streaming):
    stocked.stop()
    error = streamer("org/unvalidated", streaming=streaming)["error"]
    assert (
        "can't be reached, or the connection broke, in a request for datasets/org/unvalidated; run this again" in error
    )


def test_what_is_prepared_on_disk_is_found_again_without_the_hub(stocked, tmp_path):
    home = tmp_path / "home"
    code = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import json, streamer
from datasets import config
order = {{"token": None, "passes": 0, "wait_for": False, "registry": ""}}
for name, revision, streaming in json.loads(sys.argv[1]):
    arguments = {{"dataset_name": name, "dataset_revision": revision, "streaming": streaming}}
    answer = streamer._carry_out({{**order, "arguments": arguments}})
    print(json.dumps([answer.get("error"), answer.get("found"), answer.get("test")]))
"""

    def load(*wanted: tuple[str, str | None, bool], **environment: str) -> list[list[Any]]:
        command = ["-c", code, json.dumps(wanted)]
        finished = warm_python.run(command, env=stocked.environment(None, home) | environment, check=True)
        return [json.loads(line) for line in finished.stdout.splitlines()]

    (_, first, test), tagged = load(("org/stated", None, False), ("org/moving", "v1", False))
    stocked.stop()
    answers = load(
        ("org/stated", None, False),
        ("org/stated", first.partition("@")[2], False),
        ("org/stated", "0" * 40, False),
        ("org/stated", None, True),
        ("org/moving", "main", False),
        ("org/none", None, False),
        HF_HUB_OFFLINE="1",
    )
    assert answers[0] == answers[1] == [None, first, test]
    assert "at commit 0000000000000000000000000000000000000000 is not in the cache, which has" in answers[2][0]
    assert "datasets/org/stated can't be streamed, because HF_HUB_OFFLINE is set" in answers[3][0]
    for name, (error, _, _) in zip(("org/moving", "org/none"), answers[4:], strict=True):
        missing = f"datasets/{name} is missing from the cache or incomplete, and HF_HUB_OFFLINE is set"
        assert f"{missing}; load it once online" in error
    assert tagged[0] is None


def test_without_the_hub_the_cache_serves_what_is_not_streamed(streamer, stocked):
    expected = streamer("org/stated", streaming=False)
    stocked.stop()
    kept = streamer("org/stated", streaming=False)
    assert kept["passes"] == expected["passes"] and kept["found"] == expected["found"]
    commit = expected["found"].partition("@")[2]
    assert f"continuing with the cached commit {commit}" in kept["log"]
    assert "can't be reached" in streamer("org/stated")["error"]
