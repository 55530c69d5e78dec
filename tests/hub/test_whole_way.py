"""A shipped twin and real images on the Hub: streamed, fine-tuned, pushed, loaded by somebody who has only the Hub."""

import json
from pathlib import Path

import pandas as pd
import warm_python

from tests.loopback_hub import Hub

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TWIN = ROOT / "hf_sslgen" / "zoo" / "twins" / "resnet18-simclr"
IMAGES = 40

CLASSIFY = """
import json, sys, timm, torch
from datasets import load_dataset
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

rows = load_dataset("org/cifar10-small", split="test").select(range(int(sys.argv[1])))
pictures = [picture.convert("RGB") for picture in rows[rows.column_names[0]]]
model = AutoModelForImageClassification.from_pretrained("org/tuned").eval()
pixels = AutoImageProcessor.from_pretrained("org/tuned")(pictures, return_tensors="pt")["pixel_values"]
with torch.no_grad():
    logits = model(pixel_values=pixels).logits
    by_timm = timm.create_model("hf-hub:org/tuned", pretrained=True).eval()(pixels)
best = [found[0] for found in pipeline("image-classification", "org/tuned")(pictures)]
print(json.dumps({
    "equal": torch.equal(logits, by_timm),
    "predictions": [model.config.label2id[each["label"]] for each in best],
    "confidences": [each["score"] for each in best],
}))
"""


def run(hub: Hub, role: str | None, *command: str | Path) -> str:
    """What a command prints, with caches of its own."""
    environment = hub.environment(role) | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return warm_python.run(command, env=environment, check=True).stdout


def test_what_is_measured_here_is_what_others_load(hub: Hub, shared_data: Path, tmp_path: Path) -> None:
    plan = [
        {"name": "org/simclr", "commits": [str(TWIN)]},
        {"name": "org/cifar10-small", "type": "dataset", "commits": [str(shared_data / "cifar10-small")]},
    ]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    run(hub, "owner", HERE / "published.py", tmp_path / "plan.json")

    options = ["--model_name_or_path", "org/simclr", "--dataset_name", "org/cifar10-small", "--streaming", "true"]
    options += ["--max_steps", "12", "--learning_rate", "3e-3", "--max_eval_samples", "50", "--use_cpu"]
    options += ["--output_dir", str(tmp_path / "tuned"), "--push_to_hub", "--hub_model_id", "org/tuned"]
    run(hub, "owner", ROOT / "recipes" / "finetune.py", *options)
    measured = pd.read_parquet(tmp_path / "tuned" / "predictions.parquet").sort_values("sample_ids")[:IMAGES]

    found = json.loads(run(hub, None, "-c", CLASSIFY, str(IMAGES)).splitlines()[-1])
    assert found["equal"]
    assert found["predictions"] == measured["predictions"].tolist()
    assert max(abs(measured["confidences"].to_numpy() - found["confidences"])) < 1e-4
    assert measured["predictions"].nunique() > 2
