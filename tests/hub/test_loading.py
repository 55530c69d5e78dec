"""Loading backbones from the Hub, by processes of users with caches of their own, on good days and bad ones."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warm_python

from tests.loopback_hub import ROLES, WRONG_TOKEN, Hub

HERE = Path(__file__).parent
TWIN = HERE.parents[1] / "hf_sslgen" / "zoo" / "twins" / "resnet18-supervised"
PATIENCE = (0.05, 0.05, 0.05)
TOKENS = [role.token for role in ROLES.values()] + [WRONG_TOKEN]


def _changed(folder: Path, file: str, **changes: Any) -> None:
    content = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps({**content, **changes}), encoding="utf-8")


def _folders(root: Path, small: dict[str, str]) -> dict[str, Path]:
    """The checkpoints to publish, by repository."""
    import torch
    from safetensors.torch import load_file, save_file
    from timm import create_model
    from timm.models import save_for_hf
    from transformers import AutoModelForImageClassification

    def copied(source: str, name: str) -> Path:
        return Path(shutil.copytree(small[source], root / name))

    folders = {"twin": TWIN, "resnet": Path(small["transformers_resnet"]), "gated": Path(small["timm_vit"])}
    folders |= {"vit": Path(small["transformers_vit"]), "vit-later": copied("transformers_vit", "vit-later")}
    later = load_file(folders["vit"] / "model.safetensors")
    later["vit.embeddings.cls_token"] += 1
    save_file(later, folders["vit-later"] / "model.safetensors", metadata={"format": "pt"})
    folders["sharded"] = copied("transformers_vit", "sharded")
    (folders["sharded"] / "model.safetensors").unlink()
    whole = AutoModelForImageClassification.from_pretrained(folders["vit"])
    whole.save_pretrained(folders["sharded"], max_shard_size="30KB")
    assert len(list(folders["sharded"].glob("model-*.safetensors"))) > 1
    folders["pickled"] = copied("transformers_vit", "pickled")
    torch.save(load_file(folders["vit"] / "model.safetensors"), folders["pickled"] / "pytorch_model.bin")
    (folders["pickled"] / "model.safetensors").unlink()
    for name in ("coded", "coded-too", "coded-processor"):
        folders[name] = copied("transformers_vit", name)
        (folders[name] / "mine.py").write_text("import os\nopen(os.environ['MARKER'], 'w').close()\n")
    auto_map = {"AutoConfig": "mine.Config", "AutoModelForImageClassification": "mine.Model"}
    _changed(folders["coded"], "config.json", model_type="network-of-mine", auto_map=auto_map)
    _changed(folders["coded-too"], "config.json", auto_map=auto_map)
    processor = {"image_processor_type": "Mine", "auto_map": {"AutoImageProcessor": "mine.Processor"}}
    _changed(folders["coded-processor"], "config.json", model_type="resnet")
    (folders["coded-processor"] / "preprocessor_config.json").write_text(json.dumps(processor))
    save_for_hf(
        create_model("resnet18", num_classes=7, channels=(8, 16, 16, 32)), root / "by-timm", safe_serialization=True
    )
    _changed(root / "by-timm", "config.json", model_args={"channels": [8, 16, 16, 32], "num_classes": 7})
    folders["by-timm"] = root / "by-timm"
    indices = {"index-elsewhere": "../../weights.safetensors", "index-pickled": "pytorch_model.bin", "index-all": "*"}
    for name, file in {**indices, "index-broken": None}.items():
        folders[name] = copied("transformers_vit", name)
        (folders[name] / "model.safetensors").unlink()
        index = {"metadata": {}, "weight_map": {"vit.embeddings.cls_token": file}} if file else {}
        (folders[name] / "model.safetensors.index.json").write_text(json.dumps(index))
        (folders[name] / "pytorch_model.bin").write_bytes(b"no weights")
    configs = {
        "another-network": {"model_args": {"rooms": 3}},
        "no-network": {"architecture": None},
        "no-input": {"pretrained_cfg": {"input_size": "large"}},
    }
    for name, changes in configs.items():
        folders[name] = copied("timm_resnet", name)
        _changed(folders[name], "config.json", **changes)
    folders["no-json"] = copied("timm_resnet", "no-json")
    (folders["no-json"] / "config.json").write_text("{")
    folders["bare"] = root / "bare"
    folders["bare"].mkdir()
    (folders["bare"] / "notes.txt").write_text("no model")
    return folders


class Loader:
    """A process that loads what it is told; what it says is kept."""

    def __init__(self, hub: Hub, root: Path) -> None:
        self.hub, self.root = hub, root
        self.said: list[str] = []
        environment = hub.environment(None) | {"MARKER": str(root / "code-ran")}
        self.process = warm_python.start([HERE / "loader.py"], environment, piped=True)

    def __call__(
        self, name: str, revision: str | None = None, role: str | None = None, cache: str = "", token: str = ""
    ) -> dict[str, Any]:
        """Load by `name` with a fresh cache, or the one called `cache`."""
        place = self.root / "caches" / (cache or f"fresh-{len(self.said)}")
        order = {"name": str(name), "revision": revision, "cache": str(place), "patience": PATIENCE}
        order["token"] = token or (ROLES[role].token if role is not None else None)
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)
        self.said.append(self.process.stdout.readline())
        assert self.said[-1], self.process.errors
        answer = json.loads(self.said[-1])
        assert not answer["code ran"]
        return answer

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, small_backbones: dict[str, str]) -> dict[str, Path]:
    return _folders(tmp_path_factory.mktemp("published"), small_backbones)


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> Iterator[Hub]:
    """A Hub with backbones on it."""
    special = {
        "resnet": {"private": True},
        "gated": {"gated": True},
        "vit": {"tag": "v1", "commits": [folders["vit"], folders["vit-later"]]},
    }
    plan = [
        {"name": f"org/{name}", "commits": [folder], **special.get(name, {})}
        for name, folder in folders.items()
        if name != "vit-later"
    ]
    root = tmp_path_factory.mktemp("stocked")
    (root / "plan.json").write_text(json.dumps(plan, default=str))
    with Hub(root) as hub:
        warm_python.run([HERE / "published.py", root / "plan.json"], env=hub.environment("owner"), check=True)
        yield hub
        assert [str(visit) for visit in hub.visits if visit.status == 501] == []


@pytest.fixture(scope="module")
def loader(stocked: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    started = Loader(stocked, tmp_path_factory.mktemp("loader"))
    yield started
    started.end()
    said = "".join(started.said) + started.process.errors
    assert "org/" in said and not [token for token in TOKENS if token in said]


@pytest.fixture(autouse=True)
def good_day(stocked: Hub) -> Iterator[None]:
    yield
    stocked.heal()


def _sentence(answer: dict[str, Any], name: str) -> str:
    """The error's text after its beginning; one line."""
    start = f"model_name_or_path {name!r} could not be loaded: "
    assert answer["error"].startswith(start) and "\n" not in answer["error"], answer
    return answer["error"].removeprefix(start)


# ---- what loads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["twin", "vit", "resnet", "gated", "sharded", "by-timm", "coded-too"])
def test_a_backbone_is_the_same_from_the_hub_as_from_its_folder(loader, folders, name):
    folder = folders["vit-later" if name == "vit" else name]
    found, expected = loader(f"org/{name}", role="reader"), loader(folder)
    assert "error" not in found, found
    assert re.fullmatch("[0-9a-f]{40}", found["weights"]) and found["pinned"] == f"org/{name}@{found['weights']}"
    for key in ("trunk", "side", "model"):
        assert found[key] == expected[key]
    assert "does not state its preprocessing" not in found["log"]


def test_a_revision_is_resolved_to_its_commit(loader, stocked):
    latest, tagged = loader("org/vit", cache="revisions"), loader("org/vit", "v1", cache="revisions")
    assert latest["weights"] != tagged["weights"] and latest["trunk"] != tagged["trunk"]
    for name, revision in (("org/vit@v1", None), ("hf_hub:org/vit@v1", "v1"), (tagged["pinned"], None)):
        assert loader(name, revision) | {"log": ""} == tagged | {"log": ""}
    before = len(stocked.visits)
    assert loader(tagged["pinned"], cache="revisions")["trunk"] == tagged["trunk"]
    assert len(stocked.visits) == before  # a commit that is in the cache needs no Hub
    assert loader("org/vit@main", cache="revisions")["weights"] == latest["weights"]
    assert stocked.visits[before:] and all(visit.sent < 5000 for visit in stocked.visits[before:])


def test_an_untrained_backbone_fetches_no_weights(loader, stocked):
    before = len(stocked.visits)
    answer = loader("untrained:org/vit@v1")
    assert answer["weights"].startswith("untrained, seed 0, of ") and answer["pinned"].startswith("untrained:org/vit@")
    assert not [visit for visit in stocked.visits[before:] if "safetensors" in visit.path]


# ---- what does not --------------------------------------------------------------------------------------------------


def test_access_that_lacks_is_explained(loader, stocked):
    for role, who in ((None, "an anonymous visitor (you are not logged in)"), ("nobody", "the account whose token")):
        gated, private = (_sentence(loader(f"org/{name}", role=role), f"org/{name}") for name in ("gated", "resnet"))
        assert gated.startswith("org/gated is gated") and who in gated
        assert f"request it at {stocked.endpoint}/org/gated" in gated and "`hf auth login`" in gated
        assert private.startswith("there is no org/resnet") and "private" in private and who in private
        assert "`hf auth login`" in private
    wrong = _sentence(loader("org/vit", token=WRONG_TOKEN), "org/vit")
    assert "rejects the token" in wrong and "`hf auth login`" in wrong and "HF_TOKEN" in wrong
    misread = _sentence(loader("org/vit", token=f"{WRONG_TOKEN}é"), "org/vit")
    assert "contains invalid characters" in misread
    stocked.fail("status", "/api/models/org/vit", status=403)
    assert "lacks permission for this in org/vit" in _sentence(loader("org/vit", role="reader"), "org/vit")
    assert "error" not in loader("org/vit", role="reader")


def test_what_is_not_there_is_named(loader):
    assert _sentence(loader("org/missing"), "org/missing").startswith("there is no org/missing on http://127.0.0.1")
    missing = _sentence(loader("org/vit@v9"), "org/vit@v9")
    assert missing.startswith("org/vit has no branch, tag or commit 'v9'") and "/org/vit" in missing
    assert "did you mean 'timm/resnet50.tv_in1k'" in loader("timm/resnet50.tv_in1@main")["error"]
    assert "has no config.json" in _sentence(loader("org/bare"), "org/bare")
    assert "differ; give only one" in loader("org/vit@v1", "main")["error"]
    assert "has no revision after its @" in loader("org/vit@")["error"]
    assert "has no revision 'v1'" in loader("twin-resnet18-supervised", "v1")["error"]
    assert "could not be loaded" in loader("org/v it")["error"]


def test_code_of_a_repository_is_never_run(loader):
    assert "needs code from its repository, which is never run" in _sentence(loader("org/coded"), "org/coded")
    refused = loader("org/coded-processor")["error"]
    assert "the image processor of 'org/coded-processor'" in refused and "never run" in refused


def test_an_index_leads_to_nothing_but_safetensors_beside_it(loader, stocked):
    for name, file in {"index-elsewhere": "../", "index-pickled": "pytorch_model.bin", "index-all": "*"}.items():
        sentence = _sentence(loader(f"org/{name}"), f"org/{name}")
        assert (
            sentence.startswith(f"its model.safetensors.index.json names '{file}")
            and "not a safetensors file in the same folder" in sentence
        )
        assert not [visit for visit in stocked.visited(f"org/{name}/resolve") if "bin" in visit.path]
    assert "index.json can't be read" in _sentence(loader("org/index-broken"), "org/index-broken")


def test_a_configuration_that_fits_no_network_is_one_message(loader):
    for name, said in {"another-network": "rooms", "no-network": "architecture", "no-json": "config"}.items():
        assert said in _sentence(loader(f"org/{name}"), f"org/{name}")
    assert "pretrained_cfg in the config.json of 'org/no-input' can't be reproduced" in loader("org/no-input")["error"]


def test_pickled_weights_are_converted_by_the_commands_that_the_refusal_gives(loader, stocked, folders, tmp_path):
    refusal = _sentence(loader("org/pickled@main"), "org/pickled@main")
    assert refusal.startswith("org/pickled has no model.safetensors; only safetensors files are loaded")
    assert not [visit for visit in stocked.visited("org/pickled/resolve") if "bin" in visit.path]
    download, convert = re.findall("`(.*?)`", refusal)
    environment = stocked.environment(None) | {"PYTHONPATH": str(HERE.parents[1])}
    program, *options = shlex.split(download)
    assert program == "hf"
    hf = [str(Path(sys.executable).with_name(program)), *options]
    subprocess.run(hf, cwd=tmp_path, env=environment, check=True, capture_output=True)
    program, *options = shlex.split(convert)
    assert program == "hf-sslgen"
    warm_python.run(["-m", "hf_sslgen", *options], environment, tmp_path, check=True)
    assert loader(tmp_path / "pickled")["trunk"] == loader(folders["vit"])["trunk"]


# ---- bad days -------------------------------------------------------------------------------------------------------

WEIGHTS = "/resolve/.*model.safetensors$"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "status", "path": "/api/models/org/vit", "status": 503}, "answers 503 for org/vit"),
        ({"kind": "status", "path": "/api/models/org/vit", "status": 429}, "answers 429 for org/vit"),
        ({"kind": "status", "path": WEIGHTS, "method": "GET", "status": 503}, "answers 503 for org/vit"),
        ({"kind": "drop", "path": "/api/models/org/vit"}, "can't be reached, or the connection broke"),
        (
            {"kind": "truncate", "path": "/api/models/org/vit", "method": "GET"},
            "can't be reached, or the connection broke",
        ),
        ({"kind": "truncate", "path": WEIGHTS, "method": "GET"}, "arrived incomplete"),
        ({"kind": "corrupt", "path": WEIGHTS, "method": "GET"}, "its sha256 differs from the Hub's"),
    ],
    ids=lambda value: f"{value['kind']} {value.get('status', '')}" if isinstance(value, dict) else "",
)
def test_a_passing_fault_is_ridden_out_and_a_lasting_one_explained(loader, stocked, fault, said):
    expected = loader("org/vit", cache="good day")
    stocked.fail(**fault)
    recovered = loader("org/vit", cache=str(fault))
    assert (recovered["weights"], recovered["trunk"]) == (expected["weights"], expected["trunk"])
    assert said in recovered["log"] and "attempt 2 of 4 follows" in recovered["log"]
    stocked.heal()
    stocked.fail(**fault, times=20)
    sentence = _sentence(loader("org/vit", cache=f"{fault}, lasting"), "org/vit")
    assert said in sentence and "run this again" in sentence
    stocked.heal()
    assert loader("org/vit", cache=f"{fault}, lasting")["trunk"] == expected["trunk"]


def test_a_client_waits_as_long_as_the_hub_asks(loader, stocked):
    stocked.fail("status", "/api/models/org/vit", status=429, headers={"Retry-After": "1"})
    assert "attempt 2 of 4 follows in 1 s" in loader("org/vit")["log"]


def test_a_download_that_breaks_off_is_finished(loader, stocked):
    expected = loader("org/vit", cache="good day")
    stocked.fail("drop", WEIGHTS, "GET", times=2)
    assert loader("org/vit")["trunk"] == expected["trunk"]


def test_a_damaged_file_in_the_cache_is_noticed_and_fetched_again(loader):
    expected = loader("org/vit", cache="damaged")
    (blob,) = {path.resolve() for path in (loader.root / "caches" / "damaged").glob("**/model.safetensors")}
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(bytes(content))
    again = loader(expected["pinned"], cache="damaged")
    assert again["trunk"] == expected["trunk"] and "was damaged" in again["log"]


def test_without_the_hub_the_cache_serves_with_a_warning(loader, stocked):
    expected = loader("org/vit", cache="kept")
    stocked.stop()
    kept = loader("org/vit", cache="kept")
    assert kept["trunk"] == expected["trunk"]
    assert f"continuing with the cached commit {expected['weights']}" in kept["log"]
    other = _sentence(loader("org/vit@v1", cache="kept"), "org/vit@v1")
    assert "can't be reached" in other and "run this again" in other
    stocked.start()
    assert "error" not in loader("org/vit@v1", cache="kept")


# ---- commands, each a process of its own ----------------------------------------------------------------------------


def _analyze(hub: Hub, home: Path, output: Path, name: str, role: str | None, **environment: str) -> Any:
    sizes = ["--max_train_samples", "30", "--max_eval_samples", "20", "--max_test_samples", "20"]
    options = ["--dataset_name", "digits", "--output_dir", str(output), "--max_subset", "10", *sizes]
    return warm_python.run(
        ["-m", "hf_sslgen.cli", "analyze", "--model_name_or_path", name, *options],
        env=hub.environment(role, home) | {"OMP_NUM_THREADS": "1", **environment},
    )


def _identity(output: Path) -> dict[str, Any]:
    return json.loads((output / "cell.json").read_text(encoding="utf-8"))["identity"]


def test_analyze_records_the_commit_and_works_offline_from_the_cache(loader, stocked, tmp_path):
    home = tmp_path / "home"
    online = _analyze(stocked, home, tmp_path / "online", "org/vit@v1", "reader")
    assert online.returncode == 0, online.stderr
    assert _identity(tmp_path / "online")["weights"] == loader("org/vit@v1")["weights"]
    stocked.stop()
    offline = _analyze(stocked, home, tmp_path / "offline", "org/vit@v1", "reader", HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr
    assert _identity(tmp_path / "offline") == _identity(tmp_path / "online")
    absent = _analyze(stocked, home, tmp_path / "absent", "org/vit", "reader", HF_HUB_OFFLINE="1")
    assert absent.returncode == 2 and not (tmp_path / "absent").exists()
    assert "org/vit is missing from the cache or incomplete, and HF_HUB_OFFLINE is set" in absent.stderr
    assert "Traceback" not in absent.stderr
    said = online.stderr + online.stdout + offline.stderr + absent.stderr
    written = "".join(path.read_text() for path in tmp_path.glob("*line/*.json"))
    assert not [token for token in TOKENS if token in said + written]


def test_a_study_pins_revisions_and_measures_what_it_recorded(stocked, folders, study_file, tmp_path):
    backbones = [
        {"location": f"org/vit@{revision}", "name": revision, "objective": objective, "source": "noise"}
        for revision, objective in (("v1", "supervised"), ("main", "simclr"))
    ]
    path = study_file(backbones=backbones, seeds=[0])
    command = ["-m", "hf_sslgen.cli", "study", str(path), "--output_dir", str(tmp_path / "store")]
    environment = stocked.environment("reader") | {"OMP_NUM_THREADS": "1"}
    before = len(stocked.visits)
    warm_python.run(command, env=environment, check=True)
    cells = [json.loads(file.read_text())["identity"] for file in tmp_path.glob("store/cells/*/cell.json")]
    weights = {cell["backbone"]: cell["weights"] for cell in cells}
    assert len(cells) == 4 and len(set(weights.values())) == 2
    assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in weights.values())
    asked = [visit for visit in stocked.visits[before:] if visit.path.endswith("/revision/v1")]
    # To see which commit it is, and what that holds, however many cells there are: they load it from the cache.
    assert 0 < len(asked) <= 3
