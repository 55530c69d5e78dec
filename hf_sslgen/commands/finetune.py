"""The fine-tuning command, as `recipes/finetune.py` runs it under Accelerate."""

import logging
from collections.abc import Sequence

from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.loading import load_domain
from hf_sslgen.training.arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.zoo.loading import load_backbone

logger = logging.getLogger(__name__)


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse, load, train, report."""
    model_arguments, domain_arguments, arguments = parse_arguments(
        (ModelArguments, DomainArguments, FineTuningArguments),
        "Fine-tune a backbone on a target domain and measure it.",
        command_line,
    )
    domain = load_domain(domain_arguments)
    backbone = load_backbone(
        model_arguments.model_name_or_path,
        domain.class_names,
        model_arguments.model_revision,
        arguments.seed,
        image_size=model_arguments.image_size,
    )
    result = finetune(backbone, domain, model_arguments, arguments)
    if arguments.process_index == 0:
        for split, numbers in (("validation", result.validation), ("test", result.test)):
            print(f"{split}: " + ", ".join(f"{name} {value:.4f}" for name, value in numbers.items()))
