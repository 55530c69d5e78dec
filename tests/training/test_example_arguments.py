"""The options of transformers' image-classification example mean the same here, or are refused with what to give."""

import os

import numpy as np
import pytest
from command_arguments import COMMANDS

from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.errors import InputError
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.example_arguments import EXAMPLE, REFUSED, ExampleArguments

KINDS = (*COMMANDS["finetune"][0], ExampleArguments)
NEEDED = ("--model_name_or_path", "org/model", "--use_cpu")

TAKEN = {
    "dataset_config_name": "plain",
    "train_val_split": "0.15",
    "max_train_samples": "10",
    "max_eval_samples": "10",
    "image_column_name": "image",
    "label_column_name": "label",
    "config_name": "org/model",
    "model_revision": "main",
    "image_processor_name": "org/model",
    "token": "hf_secret",
    "trust_remote_code": "False",
    "ignore_mismatched_sizes": "",
    "do_train": "",
    "do_eval": "",
    "do_predict": "",
    "overwrite_output_dir": "False",
    "remove_unused_columns": "False",
    "output_dir": "out",
    "learning_rate": "2e-5",
    "num_train_epochs": "5",
    "per_device_train_batch_size": "8",
    "per_device_eval_batch_size": "8",
    "logging_strategy": "steps",
    "logging_steps": "10",
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "load_best_model_at_end": "True",
    "metric_for_best_model": "accuracy",
    "save_total_limit": "3",
    "seed": "1337",
    "hub_token": "hf_secret",
    "push_to_hub": "",
    "hub_model_id": "org/mine",
}
"""Options of the example and of the commands in its README, with a value as given there; "" is none."""


def parse(*options):
    return parse_arguments(KINDS, "", [*NEEDED, *options], other_names=EXAMPLE)


@pytest.mark.parametrize(("name", "value"), TAKEN.items())
def test_an_option_of_the_example_is_taken(name, value):
    parse("--dataset_name", "beans", f"--{name}", *([value] if value else []))


@pytest.mark.parametrize("name", REFUSED)
def test_an_option_that_is_not_taken_says_what_to_give(name, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"{name}: 1\n")
    for options in ((f"--{name}",), (f"--{name.replace('_', '-')}", "1"), ("--config", str(path))):
        with pytest.raises(InputError, match=f"is not an option here; {REFUSED[name][:20]}"):
            parse("--dataset_name", "beans", *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trust_remote_code"], "code from a repository is never run"),
        (["--overwrite_output_dir"], "give another --output_dir"),
        (["--ignore_mismatched_sizes", "false"], "a classifier for other classes is always replaced"),
        (["--image_processor_name", "org/other"], "the checkpoint's own is used"),
        (["--config_name", "org/other"], "the checkpoint's own is used"),
        (["--do_train", "false"], "analyze"),
        (["--train_dir", "x"], "dataset_name and train_dir both name the images"),
    ],
)
def test_another_meaning_is_refused_in_a_sentence(options, message):
    with pytest.raises(InputError) as raised:
        parse("--dataset_name", "beans", *options)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_folders_of_the_example_are_the_splits(image_folder):
    folder = image_folder({"train": 10, "val": 4})
    parsed = parse("--train_dir", str(folder / "train"), "--validation_dir", str(folder / "val"))
    found = load_domain(parsed[1])
    assert found.name == folder.name
    assert (found.train.name, found.validation.name) == ("train", "val")
    assert len(found.validation) == len(list((folder / "val").rglob("*.png")))
    assert found.test.name == "train"  # carved: what selects is not what measures
    assert not np.isin(found.test.sample_ids, found.train.sample_ids).any()


def test_folders_of_any_name_and_a_training_folder_alone(image_folder):
    folder = image_folder({"train": 10, "test": 4})
    alone = load_domain(parse("--train_dir", str(folder / "train"))[1])
    assert alone.name == folder.name
    assert {alone.train.name, alone.validation.name, alone.test.name} == {"train"}
    (folder / "train").rename(folder / "mine")
    (folder / "test").rename(folder / "theirs")
    both = load_domain(parse("--train_dir", str(folder / "mine"), "--validation_dir", str(folder / "theirs"))[1])
    assert (both.train.name, both.validation.name) == ("mine", "theirs")


def test_folders_that_can_not_be_splits_of_one_dataset(tmp_path):
    for name in ("a/train", "b/val"):
        (tmp_path / name).mkdir(parents=True)
    train, validation = str(tmp_path / "a/train"), str(tmp_path / "b/val")
    for options, message in (
        (["--train_dir", train, "--validation_dir", validation], "two folders in one"),
        (["--train_dir", train, "--validation_dir", train], "two folders in one"),
        (["--validation_dir", validation], "train_dir is missing"),
        (["--train_dir", str(tmp_path / "nowhere")], "is not a folder"),
    ):
        with pytest.raises(InputError, match=message):
            parse(*options)


def test_a_token_serves_the_clients_and_is_never_shown(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "another")
    example = parse("--dataset_name", "beans", "--token", "hf_secret")[-1]
    assert "hf_secret" not in repr(example)
    example.use_token()
    assert os.environ["HF_TOKEN"] == "hf_secret"
    with pytest.raises(InputError) as raised:
        parse("--dataset_name", "beans", "--token", "hf_sec ret")
    assert "hf_sec" not in str(raised.value)
