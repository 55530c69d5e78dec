"""Which protocols `compare` runs for what it is told."""

from typing import Any

import pytest

from hf_sslgen.commands.compare import CompareArguments
from hf_sslgen.commands.compare_plan import chosen_protocol
from hf_sslgen.domains.domain_arguments import SharedDomainArguments
from hf_sslgen.errors import InputError
from hf_sslgen.study.protocols.presets import PRESETS, departures
from hf_sslgen.training.configuration import parse_arguments

REQUIRED = ["--dataset_name", "digits", "--twin_set", "some-set", "--output_dir", "out"]


def parsed(*options: str) -> CompareArguments:
    arguments, _ = parse_arguments((CompareArguments, SharedDomainArguments), "", [*REQUIRED, *options])
    assert isinstance(arguments, CompareArguments)
    return arguments


def test_every_preset_can_be_named() -> None:
    arguments = parsed("--protocol", *PRESETS)
    assert {name: chosen_protocol(name, arguments) for name in arguments.protocol} == PRESETS
    with pytest.raises(InputError, match=r"one of linear, finetune.*did you mean 'vtab-1k'"):
        parsed("--protocol", "vtab")


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("finetune", ["--max_steps", "9"], {"max_steps": 9}),
        ("ssl-transfer", ["--num_train_epochs", "2"], {"num_train_epochs": 2, "max_steps": None}),
        (
            "vtab-1k",
            ["--learning_rates", "0.1", "0.2", "--batch_size", "8"],
            {"learning_rates": [0.1, 0.2], "batch_size": 8},
        ),
        ("full", ["--learning_rates", "0.1"], {"learning_rates": [0.1], "sgd_learning_rates": [0.1]}),
        ("linear", ["finetune", "--max_steps", "9", "--learning_rates", "0.1"], {}),
    ],
)
def test_what_is_said_replaces_the_preset(name: str, options: list[str], expected: dict[str, Any]) -> None:
    assert departures(name, chosen_protocol(name, parsed("--protocol", name, *options))) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocol", "finetune", "--max_steps", "-1"], "max_steps is -1; it must be at least 1"),
        (["--max_steps", "9"], "max_steps is for fine-tuning, and none of the protocols fine-tunes"),
        (["--learning_rates", "0.1"], "learning_rates is for fine-tuning"),
        (["--protocol", "full", "--max_steps", "9", "--num_train_epochs", "1"], "both set the training length"),
        (["--protocol", "linear", "linear"], "protocol: 'linear' is given twice"),
        (["--group", "diferent"], "one of similar, different, -; did you mean 'different'"),
    ],
)
def test_what_would_do_nothing_or_is_out_of_range_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parsed(*options)
