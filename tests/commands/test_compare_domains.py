"""Which domains `compare` measures on, for what it is told of each and of all."""

import pytest

from hf_sslgen.commands.compare import CompareArguments
from hf_sslgen.commands.compare_plan import domains_of
from hf_sslgen.domains.domain_arguments import DomainArguments, SharedDomainArguments
from hf_sslgen.errors import InputError
from hf_sslgen.training.configuration import parse_arguments

REQUIRED = ["--twin_set", "some-set", "--output_dir", "out", "--dataset_name", "digits", "photo-patches"]


def domains(*options: str) -> list[DomainArguments]:
    arguments, shared = parse_arguments((CompareArguments, SharedDomainArguments), "", [*REQUIRED, *options])
    return domains_of(arguments, shared)


def test_what_is_said_once_holds_for_every_domain() -> None:
    assert domains() == [DomainArguments("digits"), DomainArguments("photo-patches")]
    budget = ["--samples_per_class", "3", "--max_test_samples", "40", "--max_eval_samples", "20", "--skip_corrupt"]
    said = {"samples_per_class": 3, "max_test_samples": 40, "max_eval_samples": 20, "skip_corrupt": True}
    assert domains("--group", "-", "different", "--seed", "7", *budget) == [
        DomainArguments("digits", split_seed=7, **said),  # type: ignore[arg-type]
        DomainArguments("photo-patches", group="different", split_seed=7, **said),  # type: ignore[arg-type]
    ]


def test_two_budgets_and_a_value_too_few_are_refused() -> None:
    with pytest.raises(InputError, match="label_fraction and samples_per_class are both label budgets"):
        domains("--samples_per_class", "3", "--label_fraction", "0.5")
    with pytest.raises(InputError, match="group has 1 values for 2 dataset_name"):
        domains("--group", "similar")
    with pytest.raises(InputError, match="samples_per_class is 0; it must be at least 1"):
        domains("--samples_per_class", "0")
