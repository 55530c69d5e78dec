"""What `pretrain` refuses before it reads an image."""

import importlib.util

import pytest

from hf_sslgen.commands import pretrain, run_pretrain
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.pretraining_source import UNUSED, load_pretraining_source
from hf_sslgen.errors import InputError
from hf_sslgen.training.pretraining.pretraining_state import PretrainingSettings, build_trunk


def test_without_its_extra_it_says_what_to_install(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lightly" else find(name))
    with pytest.raises(InputError, match=r"'simclr' needs lightly; run `pip install 'hf-sslgen\[pretrain\]'`"):
        pretrain.main(["--objective", "simclr", "--dataset_name", "digits", "--output_dir", str(tmp_path / "run")])


def test_float16_on_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(run_pretrain.torch.accelerator, "is_available", lambda: False)
    options = ["--dataset_name", "digits", "--output_dir", str(tmp_path / "run"), "--mixed_precision", "fp16"]
    with pytest.raises(InputError, match="which needs a GPU"):
        pretrain.main(["--objective", "supervised", *options])


@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("resnet81", {}, "unknown to timm; did you mean 'resnet"),
        ("resnet18", {"chanels": [8]}, "does not accept architecture_arguments"),
        ("resnet18", {"channels": 5}, "does not accept architecture_arguments"),
    ],
)
def test_an_architecture_that_timm_does_not_make(architecture, arguments, message):
    with pytest.raises(InputError, match=message):
        build_trunk(PretrainingSettings("simclr", architecture, arguments))


@pytest.mark.parametrize("name", UNUSED)
def test_what_is_said_of_domains_alone(name):
    value = {"group": "different", "train_val_split": 0.5, "label_fraction": 0.5}.get(name, 7)
    value = "label" if name.endswith("_column_name") else value
    with pytest.raises(InputError, match=f"{name} has no effect in pretraining"):
        load_pretraining_source(DomainArguments("digits", **{name: value}))
