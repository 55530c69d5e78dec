"""The Space that shows a pushed model: what it holds, what it answers, and pushes of it that fail."""

import ast
import dataclasses
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finetuned_runs import Tuned, push_of, python
from PIL import Image

from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.errors import HubError, InputError
from hf_sslgen.hub.demo_space import demo_files
from hf_sslgen.hub.finetuned_model import check_push, push_model
from hf_sslgen.hub_access.retries import RetryPolicy
from hf_sslgen.intensity import PER_IMAGE, Intensity
from tests.loopback_hub import Hub

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("no_failure_of_the_hub")


TRY = """
import sys
import numpy as np, torch
from huggingface_hub import snapshot_download
from PIL import Image
from transformers import pipeline
sys.path.insert(0, snapshot_download(f"org/{sys.argv[1]}-demo", repo_type="space"))
from picture_view import GRID, occlusion_map
from prediction import MODEL, PROCESSOR, predict, probabilities
assert "hf_sslgen" not in sys.modules
picture = Image.open(sys.argv[2])
named, shown = predict(sys.argv[2])
expected = pipeline("image-classification", model=f"org/{sys.argv[1]}")(picture, top_k=5)
assert list(named) == [each["label"] for each in expected]
np.testing.assert_allclose(list(named.values()), [each["score"] for each in expected], atol=1e-5)
assert shown.size == (384, 384)
pixels = PROCESSOR(picture.convert("RGB"), return_tensors="pt")["pixel_values"]
label = MODEL.config.label2id[next(iter(named))]
hidden = pixels.clone()
hidden[:, :, 4:8, 8:12] = 0  # the second row's third of 8 cells a side, of 32 pixels
with torch.no_grad():
    before, after = (MODEL(each).logits.softmax(1)[0, label].item() for each in (pixels, hidden))
drops = occlusion_map(lambda each: probabilities(each)[:, label], pixels)
assert drops.shape == (GRID, GRID) == (8, 8)
np.testing.assert_allclose(drops[1, 2], before - after, atol=1e-6)
print("shown")
"""


@pytest.mark.parametrize("name", ["timm_vit", "transformers_resnet"])
def test_a_demo_shows_the_pushed_model(
    name: str, hub_in_process: Hub, tuned: Callable[[str], Tuned], hostile_digits: Domain, tmp_path: Path
) -> None:
    one, api = tuned(name), hub_in_process.api("owner")
    push = dataclasses.replace(push_of(one, f"org/{name}"), with_demo=True)
    model, demo = push_model(push, one.run)
    assert demo.url == f"{model.url.replace('/org/', '/spaces/org/')}-demo"
    assert [each.changed for each in push_model(push, one.run)] == [False, False]
    info = api.space_info(f"org/{name}-demo")
    assert (info.sdk, info.card_data["models"]) == ("gradio", [f"org/{name}"])
    hostile_digits.test.image(0).save(tmp_path / "picture.png")
    tried = python(hub_in_process, "-c", TRY, name, str(tmp_path / "picture.png"))
    assert tried.returncode == 0, tried.stderr[-3000:]
    assert tried.stdout.endswith("shown\n")


def test_a_demo_needs_what_it_names_and_no_more() -> None:
    """Each file can be read by Python, and imports only the SDK, the standard library, and what is required."""
    files = demo_files("org/model", None, {"license": "mit"}, private=False)
    texts = {path: each.read_text() if isinstance(each, Path) else each.decode() for path, each in files.items()}
    required = {line.partition(">=")[0] for line in texts["requirements.txt"].split()}
    installed = {"pillow": "PIL"}
    expected = {installed.get(name, name) for name in required} | {"gradio"}  # of the `sdk` in the card
    own = {path.removesuffix(".py") for path in texts if path.endswith(".py")}
    imported: set[str] = set()
    for name in own:
        for node in ast.walk(ast.parse(texts[f"{name}.py"])):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None
                imported.add(node.module.split(".")[0])
    assert own == {"app", "prediction", "intensity", "errors", "picture_view", "gradio_look", "same_padding"}
    assert imported - own - sys.stdlib_module_names <= expected
    assert {"gradio", "transformers", "torch", "PIL"} <= imported
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(texts["requirements.txt"].split()) <= set(project["dependencies"])


DEEP = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from intensity import STATED, Intensity, stored_values, to_rgb
from PIL import Image
assert "hf_sslgen" not in sys.modules
intensity = json.load(open(sys.argv[1] + "/space.json"))["intensity"]
with Image.open(sys.argv[2]) as opened:
    stored = stored_values(opened)
    print(np.asarray(to_rgb(opened, stored, Intensity(**intensity), "picture"))[0, :, 0].tolist())
"""


def test_a_demo_reads_deep_pictures_as_they_were_trained_on(tmp_path: Path) -> None:
    for intensity, expected in ((Intensity((0, 4095)), [0, 128, 255, 255]), (PER_IMAGE, [0, 85, 170, 255])):
        folder = tmp_path / str(intensity)
        folder.mkdir()
        for name, each in demo_files("org/model", None, {"license": "mit"}, False, intensity).items():
            (folder / name).write_bytes(each.read_bytes() if isinstance(each, Path) else each)
        Image.fromarray(np.array([[0, 2048, 4096, 6144]], np.uint16)).save(tmp_path / "picture.png")
        read = subprocess.run(
            [sys.executable, "-c", DEEP, str(folder), str(tmp_path / "picture.png")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(read.stdout) == expected


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "status", "status": 503, "times": 1000}, "answers 503"),
        ({"kind": "status", "status": 403, "times": 1}, "no write access to org/model-demo"),
        ({"kind": "stop"}, "can't be reached"),
        ({"kind": "status", "status": 412, "times": 1}, "another push to org/model-demo came first"),
        ({"kind": "drop", "times": 1}, ""),
        ({"kind": "status", "status": 429, "headers": {"Retry-After": "0"}, "times": 1}, ""),
    ],
)
def test_a_demo_whose_push_fails(
    fault: dict[str, Any],
    said: str,
    hub_in_process: Hub,
    tuned: Callable[[str], Tuned],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The model is there by then, which the sentence says; the next run adds the demo and sends nothing else."""
    monkeypatch.setattr("hf_sslgen.hub_access.retries.POLICY", RetryPolicy(waits=(0.0, 0.0)))
    one, hub = tuned("timm_resnet"), hub_in_process
    push = dataclasses.replace(push_of(one, "org/model"), with_demo=True)
    hub.fail(path="/api/spaces/org/model-demo/commit/", **fault)
    if said:
        with pytest.raises(HubError, match=f"the model was pushed to http.*/org/model, but .* demo failed: .*{said}"):
            push_model(push, one.run)
        hub.heal()
        assert hub.api("owner").list_repo_files("org/model-demo", repo_type="space") == [".gitattributes"]
        sent = hub.uploaded_bytes()
        assert [each.changed for each in push_model(push, one.run)] == [False, True]
        assert hub.uploaded_bytes() == sent
    else:
        assert [each.changed for each in push_model(push, one.run)] == [True, True]
    assert len(hub.api("owner").list_repo_commits("org/model-demo", repo_type="space")) == 2
    assert "prediction.py" in hub.api("owner").list_repo_files("org/model-demo", repo_type="space")


def test_a_demo_is_private_where_its_model_is(hub_in_process: Hub, tuned: Callable[[str], Tuned]) -> None:
    """Also where the model was made private by an earlier push, or by hand."""
    one, api = tuned("timm_resnet"), hub_in_process.api("owner")
    api.create_repo("org/quiet", private=True)
    push_model(dataclasses.replace(push_of(one, "org/quiet"), with_demo=True), one.run)
    assert api.space_info("org/quiet-demo").private
    card = Path(api.hf_hub_download("org/quiet-demo", "README.md", repo_type="space")).read_text()
    assert "give this Space a secret HF_TOKEN" in card


def test_a_demo_takes_nobody_elses_place(hub_in_process: Hub, tuned: Callable[[str], Tuned]) -> None:
    one, api = tuned("timm_resnet"), hub_in_process.api("owner")
    api.create_repo("org/taken-demo", repo_type="space", space_sdk="gradio")
    api.upload_file(path_or_fileobj=b"mine", path_in_repo="app.py", repo_id="org/taken-demo", repo_type="space")
    taken = dataclasses.replace(push_of(one, "org/taken"), with_demo=True)
    long = dataclasses.replace(push_of(one, f"org/{'x' * 93}"), with_demo=True)
    for push, said in (
        (taken, "'org/taken-demo' exists and is not a demo of this model \\(it contains 'app.py'\\)"),
        (long, "is not a valid name for a Space"),
    ):
        with pytest.raises(InputError, match=said):
            check_push(push)
    assert not api.repo_exists("org/taken")
    with pytest.raises(InputError, match=r"was pushed to .*/org/taken, but the push of its demo failed: .*not a demo"):
        push_model(taken, one.run)
    assert Path(api.hf_hub_download("org/taken-demo", "app.py", repo_type="space")).read_bytes() == b"mine"
