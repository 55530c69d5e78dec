"""What tests of whole exchanges with a Hub share."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from finetuned_runs import HOSTILE, Tuned, some_logits
from huggingface_hub import HfApi

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.hub.finetuned_run import read_run
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.zoo.backbone_loading import load_backbone
from tests.loopback_hub import Hub


@pytest.fixture
def no_failure_of_the_hub(hub: Hub) -> Iterator[None]:
    """In the end the Hub must not have been asked for what it does not know."""
    yield
    assert [str(visit) for visit in hub.visits if visit.status == 501] == []


@pytest.fixture
def api(hub_in_process: Hub, no_failure_of_the_hub: None) -> HfApi:
    """The owner's client."""
    return hub_in_process.api("owner")


@pytest.fixture(scope="session")
def hostile_digits(digits_domain: Domain) -> Domain:
    return dataclasses.replace(digits_domain, class_names=HOSTILE)


@pytest.fixture(scope="session")
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
