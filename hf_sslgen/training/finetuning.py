"""Fine-tune a backbone on a domain with the Trainer."""

import dataclasses
import functools
import logging
import math
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.errors import InputError
from hf_sslgen.launches import claimed_by_main, decided_by_main
from hf_sslgen.memory import naming_batch_size
from hf_sslgen.output_folder import require_held, require_output_folder
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.optimisation import Optimisation
from hf_sslgen.training.option_combinations import trackers_of
from hf_sslgen.training.picture_cache import DecodedPictures, kept_beside
from hf_sslgen.training.run_folder import (
    OWN_FILES,
    best_checkpoint,
    bind_run_folder,
    check_resumption,
    finished_results,
    last_good_checkpoint,
    require_disk_space,
    training_identity,
    write_results,
)
from hf_sslgen.training.samples import EvaluationSamples
from hf_sslgen.training.saved_model import save_model
from hf_sslgen.training.trainer import FineTuningTrainer
from hf_sslgen.training.trainer_callbacks import KnowBest
from hf_sslgen.training.trainer_setup import build_trainer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FineTuningResult:
    """Numbers on the validation and test splits, and the test split's predictions (None if the run was read back).

    If the test split was not measured, its numbers are {} and its predictions None.
    """

    validation: dict[str, float]
    test: dict[str, float]
    predictions: Predictions | None


def run_identity(
    backbone: LoadedBackbone,
    domain: Domain,
    model_arguments: ModelArguments,
    arguments: FineTuningArguments,
    optimisation: Optimisation | None = None,
) -> dict[str, Any]:
    """Return everything that decides a run's final weights."""
    return {
        **dataclasses.asdict(model_arguments),
        **(dataclasses.asdict(optimisation) if optimisation is not None else {}),
        "weights": backbone.weights,
        "preprocessing": dataclasses.asdict(backbone.preprocessing),
        "domain": domain.name,
        "class_names": list(domain.class_names),
        **domain.fingerprints(),
        **training_identity(arguments),
    }


def predict(trainer: FineTuningTrainer, samples: EvaluationSamples) -> Predictions:
    """Return the trained model's predictions."""
    output = trainer.predict(samples)
    return Predictions.from_evaluation(output.predictions, output.label_ids)


def _to_json(numbers: dict[str, float]) -> dict[str, float | None]:
    """Return numbers for JSON, with null in place of NaN."""
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}


def _from_json(numbers: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in numbers.items()}


def finetune(
    backbone: LoadedBackbone,
    domain: Domain,
    model_arguments: ModelArguments,
    arguments: FineTuningArguments,
    optimisation: Optimisation | None = None,
    measure_test: bool = True,
    pictures: DecodedPictures | None = None,
    watch: Callable[[FineTuningTrainer], None] | None = None,
) -> FineTuningResult:
    """Fine-tune, keep the best checkpoint, and measure it on the test split.

    The model, `run.json` (the configuration), `results.json`, `predictions.parquet`, and `checksums.json` for all of
    them are written to `arguments.output_dir`. An interrupted run resumes from its last complete and undamaged
    checkpoint; a finished run is read back.

    Args:
        optimisation: optimiser and schedule, if they differ from those in `arguments`.
        measure_test: whether to measure the test split too; a run that only competes in a selection doesn't need to.
        pictures: keeps decoded pictures for several runs on the same splits; None keeps them for this run.
        watch: called with the Trainer before it trains, to add callbacks that only watch.

    Raises:
        InputError: the folder has another configuration or a damaged finished run, can't be written or is in use, the
            disk or the memory is too small, or the Trainer is set to push.
        DivergedError: the loss, or a prediction after training, is not finite.
    """
    if arguments.push_to_hub or arguments.hub_token is not None:
        raise InputError(
            "the Trainer would push without checks and store the token with its arguments; remove both from the "
            "arguments with hf_sslgen.hub.push_arguments.take_push_request, and push after training"
        )
    folder = require_output_folder(str(arguments.output_dir), OWN_FILES)
    arguments.output_dir = str(folder)
    num_parameters = sum(p.numel() for p in backbone.model.parameters())
    identity = run_identity(backbone, domain, model_arguments, arguments, optimisation)

    def require_fitting_disk() -> None:
        require_disk_space(folder, num_parameters, (arguments.save_total_limit or 1) + 1)

    def find_progress() -> tuple[dict[str, Any] | None, Path | None]:
        bind_run_folder(folder, identity, domain.taken.as_json())
        finished = finished_results(folder)
        if finished is not None:
            return finished, None
        checkpoint = last_good_checkpoint(folder, arguments.load_best_model_at_end, not arguments.save_only_model)
        check_resumption(arguments.resume_from_checkpoint, folder, checkpoint)
        return None, checkpoint

    decided_by_main(require_fitting_disk)
    with claimed_by_main(folder) as claim:
        finished, checkpoint = decided_by_main(find_progress)
        if finished is not None:
            logger.info("%s is already finished", folder)
            return FineTuningResult(_from_json(finished["validation"]), _from_json(finished["test"]), None)
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", arguments.world_size))
        own = kept_beside(folder, processes, arguments.picture_cache_gb)
        with own if pictures is None else nullcontext(pictures) as kept:
            trainer = build_trainer(backbone, domain, model_arguments, arguments, optimisation, kept)
            trainer.before_saving = functools.partial(require_held, claim)
            if watch is not None:
                watch(trainer)
            _train(trainer, checkpoint)
            return _end_run(trainer, backbone, domain, measure_test)


def _train(trainer: FineTuningTrainer, checkpoint: Path | None) -> None:
    """Train to the end, resuming from the checkpoint if there is one."""
    if checkpoint is not None:
        logger.info("going on from %s", checkpoint)
        best = best_checkpoint(checkpoint)
        if best is not None:
            trainer.add_callback(KnowBest(best))
    with naming_batch_size("--per_device_train_batch_size", trainer.args.per_device_train_batch_size):
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def _end_run(
    trainer: FineTuningTrainer, backbone: LoadedBackbone, domain: Domain, measure_test: bool
) -> FineTuningResult:
    """Save and measure the trained model."""
    import pandas as pd

    if trainer.is_world_process_zero():
        trainer.before_saving()
    save_model(trainer, backbone)
    num_classes, geometry = len(domain.class_names), backbone.preprocessing.geometry
    assert isinstance(trainer.eval_dataset, EvaluationSamples)
    validation = predict(trainer, trainer.eval_dataset)
    test = predict(trainer, EvaluationSamples(domain.test, geometry)) if measure_test else None
    result = FineTuningResult(
        validation.measures(num_classes), {} if test is None else test.measures(num_classes), test
    )
    if trackers_of(trainer.args):
        defined = {f"test_{name}": value for name, value in result.test.items() if not math.isnan(value)}
        trainer.log(defined)
    if trainer.is_world_process_zero():
        stored: dict[str, Any] = {"validation": _to_json(result.validation), "test": _to_json(result.test)}
        if domain.found is not None:
            stored["dataset"] = dataclasses.asdict(domain.found)
        predictions = None if test is None else pd.DataFrame(dataclasses.asdict(test))
        write_results(Path(str(trainer.args.output_dir)), stored, predictions)
    return result
