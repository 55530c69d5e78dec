"""A fine-tuned model on the Hub: it loads everywhere with the same logits, and says what it is."""

import ast
import dataclasses
import hashlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from markdown_it import MarkdownIt

from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.domains.loading import Domain
from hf_sslgen.errors import InputError
from hf_sslgen.hub.arguments import HubArguments, take_push_request
from hf_sslgen.hub.demo_space import demo_files
from hf_sslgen.hub.finetuned_card import evaluation_results, finetuned_card
from hf_sslgen.hub.finetuned_model import EVALUATION_FILE, ModelPush, check_push, push_model
from hf_sslgen.hub.finetuned_run import FineTunedRun, command, read_run
from hf_sslgen.hub.pushing import PushRequest
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.reporting.cards import card_yaml
from hf_sslgen.training.arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.zoo.loading import LoadedBackbone, load_backbone
from tests.hub import ROLES, WRONG_TOKEN, Hub

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "hf_sslgen" / "domains" / "embedded" / "digits"
NAMES = ("timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")

COMMIT = "8f3c1d0e5b7a49c2d6e1f0a3b4c5d6e7f8091a2b"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "[here](javascript:alert`1`)",
    "*a* | **b** _c_ ~~d~~",
    "# ---",
    "key: {value}, - [x] &amp; !!python/object",
    "quoted \"double\" 'single' `code` \\",
    "$x$ https://example.org www.example.org me@example.org",
    "two\nlines ---\n---\nend",
    "{{ metadata }} {% raw %}",
    "7. plain",
)


@pytest.fixture(autouse=True)
def no_failure_of_the_hub(hub: Hub) -> Iterator[None]:
    yield
    assert [str(visit) for visit in hub.visits if visit.status == 501] == []


@dataclass(frozen=True)
class Tuned:
    """A finished run, and the logits of its model for some test images."""

    run: FineTunedRun
    base: str
    pixels: torch.Tensor
    logits: torch.Tensor


@pytest.fixture(scope="module")
def hostile_digits(digits_domain: Domain) -> Domain:
    return dataclasses.replace(digits_domain, class_names=HOSTILE)


@pytest.fixture(scope="module")
def tuned(
    small_backbones: dict[str, str], hostile_digits: Domain, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Tuned]:
    """A factory of finished runs by the name of the small backbone, each trained once."""
    finished: dict[str, Tuned] = {}

    def tune(name: str) -> Tuned:
        if name not in finished:
            folder = tmp_path_factory.mktemp("runs") / name
            backbone = load_backbone(small_backbones[name], hostile_digits.class_names)
            arguments = FineTuningArguments(str(folder), num_train_epochs=2, use_cpu=True, disable_tqdm=True)
            finetune(backbone, hostile_digits, ModelArguments(small_backbones[name]), arguments)
            run = read_run(folder, backbone, hostile_digits, DomainArguments("digits"))
            finished[name] = Tuned(run, small_backbones[name], *some_logits(backbone, hostile_digits))
        return finished[name]

    return tune


def some_logits(backbone: LoadedBackbone, domain: Domain) -> tuple[torch.Tensor, torch.Tensor]:
    images = [domain.test.image(position) for position in range(4)]
    pixels = torch.stack([evaluation_pixels(image, backbone.preprocessing.geometry) for image in images])
    pixels = normalise(pixels, backbone.preprocessing)
    with torch.no_grad():
        return pixels, backbone.model.eval()(pixel_values=pixels).logits


def push_of(tuned: Tuned, repository: str, role: str = "owner", licence: str | None = "cc-by-4.0") -> ModelPush:
    return ModelPush(PushRequest(repository, token=ROLES[role].token), tuned.base, None, licence)


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def python(hub: Hub, *arguments: str, role: str | None = None) -> subprocess.CompletedProcess[str]:
    """A process as `role` (None is anonymous), with fresh caches."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=hub.environment(role),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


LOAD = """
import json, sys
import numpy as np, timm, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

def assert_close(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-5, rtol=0)

for name in sys.argv[2:]:
    stored = np.load(f"{sys.argv[1]}/{name}.npz")
    pixels, logits, labels = torch.from_numpy(stored["pixels"]), stored["logits"], stored["labels"].tolist()
    images = [Image.open(f"{sys.argv[1]}/{number}.png") for number in range(len(pixels))]
    with torch.no_grad():
        model = AutoModelForImageClassification.from_pretrained(f"org/{name}")
        assert model.dtype == torch.float32 and not model.training
        assert [model.config.id2label[index] for index in range(len(labels))] == labels
        assert_close(logits, model(pixels).logits)
        processor = AutoImageProcessor.from_pretrained(f"org/{name}")
        processed = torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in images])
        processed_logits = model(processed).logits.numpy()
        classify = pipeline("image-classification", model=f"org/{name}", function_to_apply="none", top_k=len(labels))
        for image, expected in zip(images, processed_logits):
            scores = {each["label"]: each["score"] for each in classify(image)}
            assert_close(expected, [scores[label] for label in labels])
        if name.startswith("timm"):
            assert_close(pixels, processed)
            network = timm.create_model(f"hf_hub:org/{name}", pretrained=True).eval()
            assert network.pretrained_cfg["label_names"] == labels
            assert_close(logits, network(pixels))
            data = timm.data.resolve_model_data_config(network)
            transform = timm.data.create_transform(**data, is_training=False)
            assert_close(logits, network(torch.stack([transform(image) for image in images])))
        else:
            print(name, np.abs(processed_logits - logits).max())
print("all of them")
"""


def test_what_is_pushed_loads_everywhere_with_the_same_logits(
    hub_in_process: Hub, tuned: Callable[[str], Tuned], hostile_digits: Domain, tmp_path: Path
) -> None:
    for position in range(4):
        hostile_digits.test.image(position).save(tmp_path / f"{position}.png")
    for name in NAMES:
        one = tuned(name)
        push_model(push_of(one, f"org/{name}"), one.run)
        labels = np.array(HOSTILE)
        np.savez(tmp_path / f"{name}.npz", pixels=one.pixels.numpy(), logits=one.logits.numpy(), labels=labels)
    loaded = python(hub_in_process, "-c", LOAD, str(tmp_path), *NAMES)
    assert loaded.returncode == 0, loaded.stderr[-3000:]
    assert loaded.stdout.endswith("all of them\n")


def test_the_repository_holds_what_belongs_there_and_a_card_that_is_valid(
    hub_in_process: Hub, tuned: Callable[[str], Tuned]
) -> None:
    one, api = tuned("timm_resnet"), hub_in_process.api("owner")
    (pushed,) = push_model(push_of(one, "org/model"), one.run)
    names = {"README.md", "config.json", "model.safetensors", "reliability.png", "results.json", "run.json"}
    assert set(api.list_repo_files("org/model")) == {".gitattributes", *names}
    (again,) = push_model(push_of(one, "org/model"), one.run)
    assert (again.changed, again.commit) == (False, pushed.commit)
    card = ModelCard.load(api.hf_hub_download("org/model", "README.md"))
    card.validate()
    assert card.data.library_name == "timm"
    assert card.data.license == "cc-by-4.0"
    results = {result.metric_type: result for result in card.data.eval_results}
    accuracy = one.run.estimates["accuracy"]
    assert results["accuracy"].metric_value == pytest.approx(accuracy.value)
    assert results["accuracy"].metric_args["confidence_interval"] == pytest.approx([accuracy.low, accuracy.high])
    assert results["accuracy"].metric_args["n"] == 40
    assert str(one.run.folder) not in card.content
    assert one.base not in card.content
    stored = json.loads(Path(api.hf_hub_download("org/model", "results.json")).read_text())
    assert stored["test"]["accuracy"]["value"] == pytest.approx(accuracy.value)
    settings = json.loads(Path(api.hf_hub_download("org/model", "run.json")).read_text())
    assert settings["model_name_or_path"] == "path/to/timm_resnet"


def with_hostile_names(run: FineTunedRun, name: str) -> FineTunedRun:
    """The run as it would be with a domain, a split and a base model of that name, on the Hub."""
    test = dataclasses.replace(run.domain.test, name=name)
    found = HubDataset("org/data", None, COMMIT)
    domain = dataclasses.replace(run.domain, name=name, test=test, notes=(name,), found=found)
    arguments = DomainArguments(name, train_split_name=name)
    settings = {**run.settings, "model_name_or_path": name}
    return dataclasses.replace(
        run, domain=domain, settings=settings, domain_arguments=arguments, dataset="org/data", weights=name
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_in_the_card_whatever_they_hold(
    name: str, hub_in_process: Hub, tuned: Callable[[str], Tuned]
) -> None:
    run = with_hostile_names(tuned("timm_resnet").run, name)
    text = finetuned_card(run, "org/model", None, {"license": "other", "license_name": name}, {"license": name})
    card = ModelCard(text)
    card.validate()  # as huggingface_hub writes it anew; the next line as it is pushed
    hub_in_process.api("owner")._validate_yaml(text)
    (_, results), one_line = model_index_to_eval_results(card.data.to_dict()["model-index"]), " ".join(name.split())
    assert results[0].dataset_name == one_line
    assert card.data.license_name == one_line
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(card.text)
    inline = [child for token in tokens for child in token.children or ()]
    links = [child.attrs for child in inline if child.type in ("link_open", "image")]
    assert links == [{"src": "reliability.png", "alt": ""}]
    assert [token for token in tokens if token.type.startswith("html")] == []
    assert {child.type for child in inline} <= {"text", "text_special", "softbreak", "code_inline", "image"}
    shown = ["".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"]
    assert any(f"fine-tuned on {one_line} to tell 10 classes" in line for line in shown)
    classes = next(line for line in shown if line.startswith("Classes: "))
    assert classes == f"Classes: {', '.join(' '.join(each.split()) for each in HOSTILE)}."
    # Addresses become links by themselves on the Hub, which this parser does not do: none may stand there bare.
    assert re.search(r"(https?:|(?<!\\)www\.\w|\w@\w)", card.text.split("To reproduce")[0].split("Classes")[1]) is None
    entries = yaml.safe_load(evaluation_file(run))
    assert entries[0]["dataset"] == {"id": "org/data", "task_id": "accuracy", "revision": COMMIT}
    assert results[0].dataset_revision == COMMIT
    assert entries[0]["value"] == run.estimates["accuracy"].value


@pytest.mark.parametrize("name", ["ends ---", "---", "no", "1e3", "n", "null", "2024-01-01", " spaced  out ", "é: ü"])
def test_text_in_the_head_of_a_card_stays_text(name: str, hub_in_process: Hub) -> None:
    values = {"license": "mit", "license_name": name, "tags": [name]}
    text = f"---\n{card_yaml(values)}---\n"
    hub_in_process.api("owner")._validate_yaml(text)
    read = yaml.safe_load(card_yaml(values))
    assert read == {"license": "mit", "license_name": " ".join(name.split()), "tags": [" ".join(name.split())]}
    assert [line for line in text.splitlines()[1:-1] if line.endswith("---")] == []


def evaluation_file(run: FineTunedRun) -> str:
    text = evaluation_results(run)
    assert text is not None
    return text


def test_the_command_of_the_card_repeats_the_run(tuned: Callable[[str], Tuned]) -> None:
    run = tuned("timm_resnet").run
    words = shlex.split(command(run))
    assert words[:3] == ["accelerate", "launch", "recipes/finetune.py"]
    kinds = (ModelArguments, DomainArguments, FineTuningArguments, HubArguments)
    model, domain, arguments, _ = parse_arguments(kinds, "", words[3:])
    assert model == ModelArguments("path/to/timm_resnet")
    assert domain == run.domain_arguments
    assert arguments.num_train_epochs == 2
    assert not arguments.push_to_hub


def test_the_licence_is_inherited_or_asked_for(hub_in_process: Hub, tmp_path: Path) -> None:
    api = hub_in_process.api("owner")
    api.create_repo("org/stated")
    api.upload_file(
        path_or_fileobj=b"---\nlicense: cc-by-nc-4.0\n---\n", path_in_repo="README.md", repo_id="org/stated"
    )
    api.create_repo("org/silent")
    request = PushRequest("org/model", token=ROLES["owner"].token)

    def check(base: str, licence: str | None = None) -> None:
        check_push(ModelPush(request, base, None, licence))

    for base in ("org/stated", "twin-resnet18-simclr", "timm/resnet50.tv_in1k"):
        check(base)
    for base in ("org/silent", "untrained:org/stated", str(tmp_path)):
        with pytest.raises(InputError, match="states no licence; say with --hub_license"):
            check(base)
        check(base, "mit")
    with pytest.raises(InputError, match="hub_license 'free' is no licence that the Hub knows"):
        check("org/stated", "free")
    assert not api.repo_exists("org/model")


@pytest.mark.parametrize("kind", ["stop", "status", "truncate"])
def test_a_hub_that_is_away_stops_no_training(
    kind: Any, hub_in_process: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub_in_process.api("owner").create_repo("org/base")
    hub_in_process.fail(kind, "/api/", times=1000)
    for base in ("twin-resnet18-simclr", "org/base"):
        caplog.clear()
        check_push(ModelPush(PushRequest("org/model", token=ROLES["owner"].token), base, None, None))
        assert "The push is tried after training" in caplog.text
        needs_an_answer = kind != "truncate" or base == "org/base"  # of the check of a name the status says it all
        assert ("the licence can't be checked now" in caplog.text) == needs_an_answer


def test_arguments_are_taken_and_the_trainer_sees_none(tmp_path: Path, tuned: Callable[[str], Tuned]) -> None:
    def arguments(**options: Any) -> FineTuningArguments:
        return FineTuningArguments(str(tmp_path / "name"), use_cpu=True, hub_token="hf_secret", **options)

    kept = arguments()
    assert take_push_request(kept) is None
    assert kept.hub_token is None
    asked = arguments(push_to_hub=True, hub_private_repo=True, hub_revision="trial")
    assert take_push_request(asked) == PushRequest("name", "trial", True, "hf_secret")
    assert (asked.push_to_hub, asked.hub_token) == (False, None)
    with pytest.raises(InputError, match="hub_strategy 'every_save' is not to be had"):
        take_push_request(arguments(push_to_hub=True, hub_strategy="every_save"))
    run = tuned("timm_resnet").run
    backbone = load_backbone(str(run.folder), run.domain.class_names)
    for options in ({"push_to_hub": True}, {}):
        with pytest.raises(InputError, match="the Trainer would push unseen"):
            finetune(backbone, run.domain, ModelArguments("x"), arguments(**options))


@pytest.mark.parametrize(
    ("role", "fault", "said"),
    [
        ("reader", None, "no right to write"),
        ("owner", {"kind": "status", "path": "/commit/", "status": 503, "times": 1000}, "answers 503"),
        ("owner", {"kind": "stop", "path": "/commit/"}, "can't be reached"),
    ],
)
def test_a_push_that_fails_leaves_the_folder_as_it_was(
    role: str,
    fault: dict[str, Any] | None,
    said: str,
    hub_in_process: Hub,
    tuned: Callable[[str], Tuned],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hf_sslgen.hub_access.WAITS", (0.0, 0.0))
    one = tuned("timm_resnet")
    before = hashes(one.run.folder)
    if fault is not None:
        hub_in_process.fail(**fault)
    with pytest.raises(
        InputError, match=f"the model is finished and whole in .*, but the push failed: .*{said}"
    ) as raised:
        push_model(push_of(one, "org/model", role), one.run)
    assert "\n" not in str(raised.value)
    assert hashes(one.run.folder) == before
    hub_in_process.heal()
    push_model(push_of(one, "org/model"), one.run)
    files = hub_in_process.api("owner").list_repo_files("org/model")
    assert "model.safetensors" in files


TRY = """
import sys
import numpy as np, torch
from huggingface_hub import snapshot_download
from PIL import Image
from transformers import pipeline
sys.path.insert(0, snapshot_download(f"org/{sys.argv[1]}-demo", repo_type="space"))
from prediction import GRID, MODEL, PROCESSOR, occlusion_map, predict
assert "hf_sslgen" not in sys.modules
picture = Image.open(sys.argv[2])
named, shown = predict(picture)
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
drops = occlusion_map(pixels, label)
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
    assert own == {"app", "prediction"}
    assert imported - own - sys.stdlib_module_names <= expected
    assert {"gradio", "transformers", "torch", "PIL"} <= imported
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(texts["requirements.txt"].split()) <= set(project["dependencies"])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "status", "status": 503, "times": 1000}, "answers 503"),
        ({"kind": "status", "status": 403, "times": 1}, "no right to write to org/model-demo"),
        ({"kind": "stop"}, "can't be reached"),
        ({"kind": "status", "status": 412, "times": 1}, "somebody else pushed to org/model-demo"),
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
    monkeypatch.setattr("hf_sslgen.hub_access.WAITS", (0.0, 0.0))
    one, hub = tuned("timm_resnet"), hub_in_process
    push = dataclasses.replace(push_of(one, "org/model"), with_demo=True)
    hub.fail(path="/api/spaces/org/model-demo/commit/", **fault)
    if said:
        with pytest.raises(InputError, match=f"the model is pushed to http.*/org/model, but .* demo failed: .*{said}"):
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
        (taken, "'org/taken-demo' holds something else \\('app.py'\\)"),
        (long, "no Space can be called"),
    ):
        with pytest.raises(InputError, match=said):
            check_push(push)
    assert not api.repo_exists("org/taken")
    with pytest.raises(
        InputError, match=r"is pushed to .*/org/taken, but the push of its demo failed: .*something else"
    ):
        push_model(taken, one.run)
    assert Path(api.hf_hub_download("org/taken-demo", "app.py", repo_type="space")).read_bytes() == b"mine"


def recipe(hub: Hub, *options: str, role: str | None = None) -> subprocess.CompletedProcess[str]:
    return python(hub, str(ROOT / "recipes" / "finetune.py"), *options, role=role)


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_recipe_trains_and_pushes_and_no_token_is_left_anywhere(
    hub_in_process: Hub, small_backbones: dict[str, str], tmp_path: Path
) -> None:
    hub, api, token = hub_in_process, hub_in_process.api("owner"), ROLES["owner"].token
    publish(api, "org/digits", "dataset", DIGITS)
    publish(api, "org/base", "model", Path(small_backbones["timm_resnet"]))
    readme = b"---\nlicense: cc-by-4.0\n---\n"
    api.upload_file(path_or_fileobj=readme, path_in_repo="README.md", repo_id="org/base")
    output = tmp_path / "tuned"
    options = ["--model_name_or_path", "org/base", "--dataset_name", "org/digits", "--output_dir", str(output)]
    options += ["--max_train_samples", "60", "--max_eval_samples", "20", "--max_test_samples", "40"]
    options += ["--num_train_epochs", "1", "--use_cpu", "--push_to_hub", "--hub_model_id", "org/tuned"]
    refused = recipe(hub, *options, "--hub_token", WRONG_TOKEN)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("error: the Hub does not know the token")
    assert not output.exists()
    first = recipe(hub, *options, "--hub_token", token)
    assert first.returncode == 0, first.stderr[-3000:]
    assert f"{hub.endpoint}/org/tuned: pushed, commit" in first.stdout
    sent = hub.uploaded_bytes()
    second = recipe(hub, *options, role="owner")
    assert second.returncode == 0, second.stderr[-3000:]
    assert "org/tuned: nothing has changed" in second.stdout
    assert second.stderr.count("No files have been modified") <= 1
    assert hub.uploaded_bytes() == sent
    assert len(api.list_repo_commits("org/tuned")) == 2

    card = ModelCard.load(api.hf_hub_download("org/tuned", "README.md"))
    card.validate()
    assert (card.data.base_model, card.data.datasets, card.data.license) == ("org/base", ["org/digits"], "cc-by-4.0")
    assert f"--dataset_name org/digits --dataset_revision {api.dataset_info('org/digits').sha} " in card.text
    assert f"--model_name_or_path org/base@{api.model_info('org/base').sha} " in card.text
    assert EVALUATION_FILE in api.list_repo_files("org/tuned")
    entries = yaml.safe_load(Path(api.hf_hub_download("org/tuned", EVALUATION_FILE)).read_text())
    accuracy = entries[0]
    commit = api.dataset_info("org/digits").sha
    assert accuracy["dataset"] == {"id": "org/digits", "task_id": "accuracy", "revision": commit}
    assert accuracy["value"] == json.loads((output / "results.json").read_text())["test"]["accuracy"]
    assert re.search(r"95% interval \[.*\]; 40 images of split test", accuracy["notes"])

    for secret in (token, WRONG_TOKEN):
        for finished in (refused, first, second):
            assert secret not in finished.stdout + finished.stderr
        assert files_with(secret, output) == []
        assert files_with(secret, hub.root / "repositories") == []


def publish(api: HfApi, name: str, kind: str, folder: Path) -> None:
    api.create_repo(name, repo_type=kind)
    api.upload_folder(repo_id=name, repo_type=kind, folder_path=folder)
