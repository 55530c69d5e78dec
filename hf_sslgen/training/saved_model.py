"""Save a trained model as a folder that loads like any backbone, with weights, configuration and preprocessing."""

import dataclasses
import json
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor
from transformers.models.timm_wrapper.modeling_timm_wrapper import TimmWrapperForImageClassification

from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_files, write_json
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.training.trainer import FineTuningTrainer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.checkpoint_preprocessing import PROCESSOR_FILES, read_preprocessing, resized_processor

logger = logging.getLogger(__name__)


def save_model(trainer: FineTuningTrainer, backbone: LoadedBackbone) -> None:
    """Save the model with its preprocessing, so that the folder loads with AutoModel and AutoImageProcessor.

    All processes must call this; the main process writes either all files or none.
    """
    folder = Path(str(trainer.args.output_dir))
    with replace_files(folder) if trainer.is_world_process_zero() else nullcontext(folder) as target:
        _save(trainer, backbone, target)


def _save(trainer: FineTuningTrainer, backbone: LoadedBackbone, folder: Path) -> None:
    trainer.save_model(str(folder))
    wrapped = isinstance(backbone.model, TimmWrapperForImageClassification)
    if trainer.is_world_process_zero() and not wrapped:
        source = str(backbone.model.config._name_or_path)
        try:
            processor = AutoImageProcessor.from_pretrained(source, trust_remote_code=False)
        except (OSError, ValueError):
            logger.warning("%s has no image processor to save with the model", source)
        else:
            processor.save_pretrained(folder)
            _save_image_size(folder, backbone)


def _save_image_size(folder: Path, backbone: LoadedBackbone) -> None:
    """Adapt the saved image processor if the model was trained on another input size than its checkpoint's."""
    wanted, config = backbone.preprocessing, backbone.model.config
    if _makes(folder, config, wanted):
        return
    path = folder / PROCESSOR_FILES[0]
    write_json(path, resized_processor(json.loads(path.read_text(encoding="utf-8")), wanted.geometry))
    if not _makes(folder, config, wanted):
        logger.warning(
            "the image processor saved in %s can't state that %s was trained on %d px, %s; prepare its input that way",
            folder,
            backbone.name,
            wanted.geometry.image_size,
            wanted.geometry,
        )


def _makes(folder: Path, config: Any, wanted: Preprocessing) -> bool:
    """Whether a saved image processor produces this input; half a pixel of a margin may be rounded differently."""
    try:
        found = read_preprocessing(folder, config)
    except InputError:
        return False
    geometry = dataclasses.replace(found.geometry, margins=wanted.geometry.margins)
    return dataclasses.replace(found, geometry=geometry) == wanted
