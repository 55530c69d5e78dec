"""A fine-tuned model on the Hub: it loads everywhere with the same logits, and says what it is."""

import dataclasses
import hashlib
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from finetuned_runs import HOSTILE, Tuned, push_of, python
from huggingface_hub import ModelCard
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.repocard_data import model_index_to_eval_results
from markdown_it import MarkdownIt

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.errors import HubError, InputError
from hf_sslgen.hub.benchmarks import BENCHMARK_FILE, Task, read_tasks, tasks_on_hub
from hf_sslgen.hub.finetuned_card import evaluation_results, finetuned_card
from hf_sslgen.hub.finetuned_model import EVALUATION_FILE, ModelPush, check_push, push_model
from hf_sslgen.hub.finetuned_run import FineTunedRun, command
from hf_sslgen.hub.push_arguments import HubArguments, take_push_request
from hf_sslgen.hub.pushing import PushRequest
from hf_sslgen.hub_access.retries import RetryPolicy
from hf_sslgen.reporting.cards import card_yaml
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.zoo.backbone_loading import load_backbone
from tests.loopback_hub import ROLES, Hub

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("no_failure_of_the_hub")
DIGITS = ROOT / "hf_sslgen" / "domains" / "embedded" / "digits"
NAMES = ("timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")

COMMIT = "8f3c1d0e5b7a49c2d6e1f0a3b4c5d6e7f8091a2b"


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


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
    assert any(f"fine-tuned on {one_line} to classify images into 10 classes" in line for line in shown)
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
    text = evaluation_results(run, [Task("accuracy", split=run.domain.test.name), Task("hidden", split="test")])
    assert text is not None
    return text


BENCHMARK = """name: Digits
description: hand-written digits
evaluation_framework: ours
tasks:
- {id: accuracy, config: default, split: test}
- {id: brier_score, config: default, split: train}
- {id: negative_log_likelihood, config: other, split: test}
- {id: unknown_task, config: default, split: test}
"""


def test_only_what_a_benchmark_asks_for_is_stated_as_its_result(
    hub_in_process: Hub, tuned: Callable[[str], Tuned]
) -> None:
    """Whatever else was measured stays in the card's model-index."""
    api, one = hub_in_process.api("owner"), tuned("timm_resnet")
    run = dataclasses.replace(one.run, dataset="org/data")
    api.create_repo("org/data", repo_type="dataset")
    assert tasks_on_hub(api, "org/data") == tasks_on_hub(api, "org/nowhere") == ()
    push_model(push_of(one, "org/model"), run)
    assert EVALUATION_FILE not in api.list_repo_files("org/model")
    api.upload_file(
        path_or_fileobj=BENCHMARK.encode(), path_in_repo=BENCHMARK_FILE, repo_id="org/data", repo_type="dataset"
    )
    push_model(push_of(one, "org/model"), run)
    info = api.model_info("org/model")
    assert info.eval_results is not None
    assert [(each.dataset_id, each.task_id) for each in info.eval_results] == [("org/data", "accuracy")]
    (row,) = api.get_dataset_leaderboard("org/data")
    assert (row.model_id, row.value) == ("org/model", run.estimates["accuracy"].value)
    measured = {result.metric_type for result in ModelCard.load("org/model").data.eval_results}
    assert measured > {"accuracy", "brier_score", "negative_log_likelihood"}
    api.delete_file(BENCHMARK_FILE, "org/data", repo_type="dataset")
    push_model(push_of(one, "org/model"), run)
    assert EVALUATION_FILE not in api.list_repo_files("org/model")


@pytest.mark.parametrize(
    "content", ["- a", "name: x", "name: x\ndescription: y\nevaluation_framework: z\ntasks: [{config: a}]", "tasks: ["]
)
def test_a_benchmark_that_breaks_the_rules_is_refused_by_the_hub_and_read_by_nobody(
    content: str, hub_in_process: Hub, tmp_path: Path
) -> None:
    api, path = hub_in_process.api("owner"), tmp_path / BENCHMARK_FILE
    api.create_repo("org/data", repo_type="dataset")
    with pytest.raises(HfHubHTTPError, match=r"invalid eval\.yaml"):
        api.upload_file(
            path_or_fileobj=content.encode(), path_in_repo=BENCHMARK_FILE, repo_id="org/data", repo_type="dataset"
        )
    path.write_text(content)
    with pytest.raises(InputError, match=r"eval\.yaml"):
        read_tasks(path)


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
        with pytest.raises(
            InputError, match="states no licence; give the licence of the pushed weights with --hub_license"
        ):
            check(base)
        check(base, "mit")
    with pytest.raises(InputError, match="hub_license 'free' is unknown to the Hub"):
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
        assert "The push will be attempted after training" in caplog.text
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
    with pytest.raises(InputError, match="hub_strategy is 'every_save', which is not supported"):
        take_push_request(arguments(push_to_hub=True, hub_strategy="every_save"))
    run = tuned("timm_resnet").run
    backbone = load_backbone(str(run.folder), run.domain.class_names)
    for options in ({"push_to_hub": True}, {}):
        with pytest.raises(InputError, match="the Trainer would push without checks"):
            finetune(backbone, run.domain, ModelArguments("x"), arguments(**options))


@pytest.mark.parametrize(
    ("role", "fault", "said"),
    [
        ("reader", None, "no write access"),
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
    monkeypatch.setattr("hf_sslgen.hub_access.retries.POLICY", RetryPolicy(waits=(0.0, 0.0)))
    one = tuned("timm_resnet")
    before = hashes(one.run.folder)
    if fault is not None:
        hub_in_process.fail(**fault)
    with pytest.raises(
        HubError, match=f"the model is finished and complete in .*, but the push failed: .*{said}"
    ) as raised:
        push_model(push_of(one, "org/model", role), one.run)
    assert "\n" not in str(raised.value)
    assert hashes(one.run.folder) == before
    hub_in_process.heal()
    push_model(push_of(one, "org/model"), one.run)
    files = hub_in_process.api("owner").list_repo_files("org/model")
    assert "model.safetensors" in files
