"""The fine-tuning command, which `recipes/finetune.py` runs under Accelerate."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.validation_callback import ValidationNumbers
from hf_sslgen.commands.accepted_inputs import PreflightArguments
from hf_sslgen.commands.backbone_check import require_sound
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.domains.measured_images import MeasuredImages
from hf_sslgen.domains.splits import stratified_subset
from hf_sslgen.domains.taken import print_taken
from hf_sslgen.errors import InputError
from hf_sslgen.hub.finetuned_model import ModelPush, check_push, push_model
from hf_sslgen.hub.finetuned_run import read_run
from hf_sslgen.hub.push_arguments import HubArguments, take_push_request
from hf_sslgen.output_folder import require_free, require_output_folder
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.example_arguments import EXAMPLE, ExampleArguments
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.option_combinations import EVALUATION_PREFIX, trackers_of
from hf_sslgen.training.run_folder import OWN_FILES
from hf_sslgen.training.trainer import FineTuningTrainer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

logger = logging.getLogger(__name__)


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments, load, train, report and, if requested, push."""
    model_arguments, domain_arguments, arguments, hub_arguments, example, checking = parse_arguments(
        (ModelArguments, DomainArguments, FineTuningArguments, HubArguments, ExampleArguments, PreflightArguments),
        "Fine-tune a backbone on a target domain and measure it.",
        command_line,
        other_names=EXAMPLE,
    )
    example.use_token()
    folder = require_output_folder(str(arguments.output_dir), OWN_FILES)
    if arguments.process_index == 0:
        require_free(folder)
    push = _asked_push(model_arguments, arguments, hub_arguments)
    if push is not None and arguments.process_index == 0:
        check_push(push)
    domain = load_domain(domain_arguments)
    backbone = load_backbone(
        model_arguments.model_name_or_path,
        domain.class_names,
        model_arguments.model_revision,
        arguments.seed,
        image_size=model_arguments.image_size,
    )
    require_sound(backbone, checking.accept_inputs, arguments.process_index == 0)
    if arguments.process_index == 0:
        print_taken([domain.taken])
    result = finetune(
        backbone, domain, model_arguments, arguments, watch=partial(_report_to_trackers, backbone, domain)
    )
    if arguments.process_index != 0:
        return
    for split, numbers in (("validation", result.validation), ("test", result.test)):
        print(f"{split}: " + ", ".join(f"{name} {value:.4f}" for name, value in numbers.items()), flush=True)
    if push is not None:
        run = read_run(Path(str(arguments.output_dir)), backbone, domain, domain_arguments)
        for each in push_model(push, run):
            print(f"{each.url}: {'pushed' if each.changed else 'nothing has changed'}, commit {each.commit}")


def _report_to_trackers(backbone: LoadedBackbone, domain: Domain, trainer: FineTuningTrainer) -> None:
    """Let trackers also have attribution and invariance, on some validation images, at every evaluation."""
    arguments = trainer.args
    assert isinstance(arguments, FineTuningArguments)
    if not trackers_of(arguments) or arguments.tracked_images == 0:
        return
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        logger.warning("trackers get no attribution or invariance: the network is sharded over processes")
        return
    chosen = stratified_subset(domain.validation.labels, arguments.tracked_images, arguments.seed)
    images = MeasuredImages(domain.validation.select(chosen), domain.class_names, domain.not_label_preserving)
    settings = AnalysisSettings(batch_size=arguments.per_device_eval_batch_size, seed=arguments.seed)
    callback = ValidationNumbers(
        trainer, images, processor=backbone.preprocessing, settings=settings, prefix=EVALUATION_PREFIX
    )
    trainer.add_callback(callback)


def _asked_push(
    model_arguments: ModelArguments, arguments: FineTuningArguments, hub_arguments: HubArguments
) -> ModelPush | None:
    """Return the requested push, removing it from the Trainer's arguments."""
    request = take_push_request(arguments)
    if request is None:
        if hub_arguments.push_demo_space:
            raise InputError("push_demo_space needs a pushed model; add --push_to_hub, or drop it")
        return None
    return ModelPush(
        request,
        model_arguments.model_name_or_path,
        model_arguments.model_revision,
        hub_arguments.hub_license,
        hub_arguments.push_demo_space,
    )
