"""The libraries that people use, unmodified and with fresh caches, each in a process of its own."""

import json
import re
import subprocess
import sys
from pathlib import Path

import warm_python

from tests.loopback_hub import Hub

PACKAGE = Path(__file__).parents[2] / "hf_sslgen"
TWIN = PACKAGE / "zoo" / "twins" / "resnet18-supervised"
DIGITS = PACKAGE / "domains" / "embedded" / "digits"

PUSH = """
import sys
from huggingface_hub import HfApi
name, kind, folder = sys.argv[1:]
api = HfApi()
api.create_repo(name, repo_type=kind, space_sdk="static" if kind == "space" else None)
api.upload_folder(repo_id=name, folder_path=folder, repo_type=kind)
"""


def run(hub: Hub, script: str, *arguments: object, role: str | None = None) -> str:
    """What the script prints last, run as `role` with fresh caches."""
    command = ["-c", script, *map(str, arguments)]
    finished = warm_python.run(command, env=hub.environment(role), check=True)
    return finished.stdout.splitlines()[-1] if finished.stdout else ""


def test_a_shipped_twin_loads_in_transformers_and_timm(hub: Hub) -> None:
    run(hub, PUSH, "org/twin", "model", TWIN, role="owner")
    script = """
import sys, torch, timm
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification
options = {"num_labels": 5, "dtype": torch.float32}  # the twin has no head, and is stored in half precision
model = AutoModelForImageClassification.from_pretrained("org/twin", **options).eval()
processor = AutoImageProcessor.from_pretrained("org/twin")
network = timm.create_model("hf_hub:org/twin", pretrained=True).float().eval()
images = torch.rand(2, 3, 64, 64)
with torch.no_grad():
    assert torch.equal(model.timm_model.forward_features(images), network.forward_features(images))
    assert model(pixel_values=images).logits.shape == (2, 5)
stored, state = load_file(sys.argv[1]), network.state_dict()
assert all(torch.equal(state[name], value.to(state[name].dtype)) for name, value in stored.items())
print(len(stored), type(processor).__name__)
"""
    assert run(hub, script, TWIN / "model.safetensors", role="reader").endswith("TimmWrapperImageProcessor")
    assert [visit for visit in hub.visited("model.safetensors", "GET") if visit.status == 200]


def test_a_model_is_pushed_by_transformers(hub: Hub, small_backbones: dict[str, str]) -> None:
    script = """
import sys, torch
from transformers import AutoModelForImageClassification, pipeline
from PIL import Image
model = AutoModelForImageClassification.from_pretrained(sys.argv[1]).eval()
model.push_to_hub("org/vit", private=True)
from transformers import AutoImageProcessor
AutoImageProcessor.from_pretrained(sys.argv[1]).push_to_hub("org/vit")
again = AutoModelForImageClassification.from_pretrained("org/vit").eval()
images = torch.rand(2, 3, 32, 32)
with torch.no_grad():
    assert torch.equal(model(images).logits, again(images).logits)
answer = pipeline("image-classification", model="org/vit")(Image.new("RGB", (40, 40)), top_k=7)
print(len(answer))
"""
    assert run(hub, script, small_backbones["transformers_vit"], role="owner") == "7"


def test_a_dataset_loads_and_streams(hub: Hub) -> None:
    run(hub, PUSH, "org/digits", "dataset", DIGITS, role="owner")
    script = """
import json, sys
from datasets import load_dataset
whole = load_dataset("org/digits", split="test")
streamed = list(load_dataset("org/digits", split="test", streaming=True))
local = load_dataset("parquet", data_files=sys.argv[1], split="train")
assert whole["label"] == local["label"] == [row["label"] for row in streamed]
assert whole[3]["image"].tobytes() == local[3]["image"].tobytes() == streamed[3]["image"].tobytes()
print(len(whole))
"""
    assert int(run(hub, script, DIGITS / "test.parquet")) > 100
    assert hub.visited("train.parquet", "GET")
    assert any(visit.status == 206 for visit in hub.visited("test.parquet", "GET"))  # streamed by pieces


def test_a_dataset_is_pushed_by_datasets(hub: Hub) -> None:
    script = """
from datasets import Dataset, load_dataset
Dataset.from_dict({"x": list(range(10))}).push_to_hub("org/numbers", private=True, num_shards=2)
print(load_dataset("org/numbers", split="train")["x"][:])
"""
    assert run(hub, script, role="owner") == str(list(range(10)))


METRIC = """
import datasets
import evaluate
from .counting import count


class Agreement(evaluate.Metric):
    def _info(self):
        features = datasets.Features({name: datasets.Value("int64") for name in ("predictions", "references")})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references):
        return {"agreement": count(predictions, references)}
"""


def test_a_metric_loads_from_its_space(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "agreement"
    folder.mkdir()
    (folder / "agreement.py").write_text(METRIC)
    (folder / "counting.py").write_text("def count(a, b):\n    return sum(x == y for x, y in zip(a, b))\n")
    run(hub, PUSH, "org/agreement", "space", folder, role="owner")
    script = """
import evaluate
print(evaluate.load("org/agreement").compute(predictions=[1, 2, 3], references=[1, 2, 4]))
"""
    assert run(hub, script) == "{'agreement': 2}"


def test_libraries_say_what_is_wrong(hub: Hub) -> None:
    api_script = """
from huggingface_hub import HfApi
api = HfApi()
for name in ("gated", "private"):
    api.create_repo("org/" + name, repo_type="dataset", private=name == "private")
    api.upload_file(path_or_fileobj=b"x\\n1\\n", path_in_repo="a.csv", repo_id="org/" + name, repo_type="dataset")
api.update_repo_settings("org/gated", repo_type="dataset", gated="auto")
"""
    run(hub, api_script, role="owner")
    script = """
import json
from datasets import load_dataset
from datasets.exceptions import DatasetNotFoundError
messages = []
for name, revision in (("gated", None), ("private", None), ("missing", None)):
    try:
        load_dataset("org/" + name, revision=revision)
    except DatasetNotFoundError as error:
        messages.append(str(error))
print(json.dumps(messages))
"""
    gated, private, missing = json.loads(run(hub, script, role="nobody"))
    assert "gated dataset" in gated
    assert "doesn't exist on the Hub or cannot be accessed" in private
    assert "doesn't exist on the Hub or cannot be accessed" in missing


def test_it_starts_by_hand(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-u",
        "-m",
        "tests.loopback_hub",
        "--port",
        "0",
        "--folder",
        str(tmp_path),
        "--organization",
        "us",
    ]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        while not lines or "_faults" not in lines[-1]:
            lines.append(process.stdout.readline())
        text = "".join(lines)
        variables = dict(re.findall(r"export (\w+)=(\S+)", text.split("and to be one")[0]))
        token = re.search(r"export HF_TOKEN=(\S+)  # owner", text).group(1)
        script = "from huggingface_hub import HfApi; print(HfApi().create_repo('us/thing').repo_id)"
        environment = {"PATH": "/usr/bin", **variables, "HF_TOKEN": token}
        created = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        process.terminate()
    assert created.stdout.strip() == "us/thing", created.stderr
    assert (tmp_path / "repositories" / "models" / "us" / "thing").is_dir()
