"""Fine-tuning with the real Trainer: learning, resuming, freezing, weighting, stopping."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BitImageProcessor, ConvNextImageProcessor, TrainerCallback
from whole_splits import classified

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.errors import DiskFullError, DivergedError, InputError
from hf_sslgen.training import finetuning
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.run_folder import last_good_checkpoint, require_disk_space
from hf_sslgen.training.trainer import FineTuningTrainer
from hf_sslgen.training.trainer_setup import build_trainer, class_weights
from hf_sslgen.zoo.backbone_loading import load_backbone

NAMES = ("timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")


def arguments_for(folder: Path, **options) -> FineTuningArguments:
    defaults = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 10,
        "num_train_epochs": 2,
        "learning_rate": 1e-3,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return FineTuningArguments(**{**defaults, **options})


def weights_of(folder: Path, domain) -> dict[str, torch.Tensor]:
    return load_backbone(str(folder), domain.class_names).model.state_dict()


def assert_same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_backbone_trains_is_saved_and_measured(name, small_backbones, digits_domain, tmp_path):
    location = small_backbones[name]
    backbone = load_backbone(location, digits_domain.class_names)
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    result = finetune(backbone, digits_domain, ModelArguments(location), arguments_for(tmp_path))
    changed = [key for key, value in backbone.model.state_dict().items() if not torch.equal(value, before[key])]
    assert len(changed) > len(before) / 2
    frame = pd.read_parquet(tmp_path / "predictions.parquet")
    assert sorted(frame["sample_ids"]) == sorted(digits_domain.test.sample_ids)
    assert result.test["accuracy"] == pytest.approx((frame["predictions"] == frame["references"]).mean())
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["test"] == result.test
    saved = load_backbone(str(tmp_path), digits_domain.class_names)
    assert saved.has_trained_head
    assert saved.preprocessing == backbone.preprocessing
    outputs = classified(saved, digits_domain.test, batch_size=16)
    np.testing.assert_array_equal(outputs.predictions, frame["predictions"])
    np.testing.assert_allclose(outputs.confidences, frame["confidences"], atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"shortest_edge": 32}, "crop_pct": 0.875},
        {"size": {"shortest_edge": 36}, "crop_pct": None, "do_center_crop": True, "crop_size": 32},
        {"size": {"height": 36, "width": 36}, "crop_pct": None, "do_center_crop": True, "crop_size": 32},
        {"size": {"height": 32, "width": 32}, "crop_pct": None, "do_center_crop": False},
    ],
)
def test_a_model_trained_on_another_size_is_saved_with_it(settings, small_backbones, digits_domain, tmp_path):
    location = tmp_path / "base"
    shutil.copytree(small_backbones["transformers_resnet"], location)
    kind = ConvNextImageProcessor if settings["crop_pct"] else BitImageProcessor
    kind(**settings).save_pretrained(location)
    own = load_backbone(str(location), digits_domain.class_names)
    backbone = load_backbone(str(location), digits_domain.class_names, image_size=48)
    assert (own.preprocessing.geometry.image_size, backbone.preprocessing.geometry.image_size) == (32, 48)
    finetune(backbone, digits_domain, ModelArguments(str(location)), arguments_for(tmp_path / "run", max_steps=1))
    assert load_backbone(str(tmp_path / "run"), digits_domain.class_names).preprocessing == backbone.preprocessing


class InterruptionError(Exception):
    pass


class InterruptAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise InterruptionError


@contextmanager
def interrupted_at(step: int) -> Iterator[None]:
    """Inside the block every training raises after this step."""

    def build_interrupted(*args, **kwargs):
        trainer = build_trainer(*args, **kwargs)
        trainer.add_callback(InterruptAt(step))
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuning, "build_trainer", build_interrupted)
        yield


@pytest.mark.parametrize(("name", "stop"), [("timm_resnet", 5), ("transformers_vit", 4)])
def test_resumed_training_ends_with_the_weights_of_uninterrupted_training(
    name, stop, small_backbones, digits_domain, tmp_path
):
    """Interrupted within an epoch (step 5) or at its end (step 3 of 3 an epoch, then one more).

    The whole run decodes every picture anew; the resumed one keeps decoded pictures.
    """
    location = small_backbones[name]
    options = {
        "num_train_epochs": 3,
        "save_strategy": "steps",
        "save_steps": 1,
        "eval_strategy": "steps",
        "eval_steps": 1,
    }

    def run(folder, **more):
        backbone = load_backbone(location, digits_domain.class_names)
        return finetune(backbone, digits_domain, ModelArguments(location), arguments_for(folder, **options, **more))

    whole = run(tmp_path / "whole", picture_cache_gb=0)

    with interrupted_at(stop), pytest.raises(InterruptionError):
        run(tmp_path / "resumed")
    assert not (tmp_path / "resumed" / "results.json").exists()
    assert last_good_checkpoint(tmp_path / "resumed", wants_best=True) is not None
    torch.manual_seed(12345)  # a new process has another random state
    resumed = run(tmp_path / "resumed")
    assert_same_weights(weights_of(tmp_path / "whole", digits_domain), weights_of(tmp_path / "resumed", digits_domain))
    assert resumed.test == whole.test


def test_a_finished_run_is_read_back_and_another_configuration_refused(small_backbones, digits_domain, tmp_path):
    location = small_backbones["timm_resnet"]

    def run(**options):
        backbone = load_backbone(location, digits_domain.class_names)
        arguments = arguments_for(tmp_path, num_train_epochs=1, **options)
        return finetune(backbone, digits_domain, ModelArguments(location), arguments)

    first = run()
    weights = (tmp_path / "model.safetensors").stat().st_mtime_ns
    assert run(logging_steps=1).test == first.test
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == weights
    with pytest.raises(InputError, match=r"another configuration \(learning_rate: 0.001 there, 0.01 now\)"):
        run(learning_rate=1e-2)


def test_a_folder_with_other_files_is_refused_and_left_alone(small_backbones, digits_domain, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    backbone = load_backbone(small_backbones["timm_vit"], digits_domain.class_names)
    with pytest.raises(InputError, match="holds other files"):
        finetune(backbone, digits_domain, ModelArguments("x"), arguments_for(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("trainable", ["last_stage", "head"])
@pytest.mark.parametrize("name", NAMES)
def test_frozen_parts_keep_weights_and_statistics(trainable, name, small_backbones, digits_domain, tmp_path):
    location = small_backbones[name]
    backbone = load_backbone(location, digits_domain.class_names)
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    trainer = build_trainer(
        backbone,
        digits_domain,
        ModelArguments(location, trainable=trainable),
        arguments_for(
            tmp_path, num_train_epochs=1, save_strategy="no", eval_strategy="no", load_best_model_at_end=False
        ),
    )
    trainer.train()
    changed = {key for key, value in backbone.model.state_dict().items() if not torch.equal(value, before[key])}
    head = {key for key in before if ".fc." in key or ".head." in key or key.startswith("classifier")}
    assert head <= changed
    if trainable == "head":
        assert changed == head
    else:
        last = ("layer4", "blocks.1.", "encoder.stages.1.", "vit.layers.1.", "vit.encoder.layer.1.")
        assert any(part in key for key in changed - head for part in last)
        assert all(any(part in key for part in (*last, "norm.", "layernorm.")) for key in changed - head), sorted(
            changed - head
        )


def test_a_loss_that_is_not_finite_stops_training_and_names_the_step(small_backbones, digits_domain, tmp_path):
    location = small_backbones["timm_vit"]
    backbone = load_backbone(location, digits_domain.class_names)
    arguments = arguments_for(tmp_path, learning_rate=1e30, max_grad_norm=0.0, lr_scheduler_type="constant")
    with pytest.raises(DivergedError, match=r"the loss became nan at step [2-6] \(learning_rate 1e\+30\)"):
        finetune(backbone, digits_domain, ModelArguments(location), arguments)
    assert not (tmp_path / "results.json").exists()


def test_a_loss_that_is_not_finite_at_the_last_step_is_noticed_too(small_backbones, digits_domain, tmp_path):
    """The loss of a step is read at the next one, or before anything is made of the weights."""
    location = small_backbones["timm_vit"]
    options = {"learning_rate": 1e30, "max_grad_norm": 0.0, "lr_scheduler_type": "constant", "max_steps": 2}
    unselected = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    saving = {**unselected, "save_strategy": "steps", "save_steps": 2}
    for name, more in (("unselected", unselected), ("saving", saving)):
        backbone = load_backbone(location, digits_domain.class_names)
        arguments = arguments_for(tmp_path / name, **options, **more)
        with pytest.raises(DivergedError, match="the loss became nan at step 2 "):
            finetune(backbone, digits_domain, ModelArguments(location), arguments)
        assert not list((tmp_path / name).glob("checkpoint-*"))


def test_channels_last_changes_neither_what_is_learned_nor_what_is_saved(
    small_backbones, digits_domain, tmp_path, monkeypatch
):
    location = small_backbones["timm_resnet"]
    for layout in (torch.contiguous_format, torch.channels_last):
        monkeypatch.setattr(FineTuningTrainer, "_fitting_memory_format", lambda self, layout=layout: layout)
        backbone = load_backbone(location, digits_domain.class_names)
        arguments = arguments_for(tmp_path / str(layout), max_steps=1, optim="sgd")
        finetune(backbone, digits_domain, ModelArguments(location), arguments)
        convolution = next(module for module in backbone.model.modules() if isinstance(module, torch.nn.Conv2d))
        assert convolution.weight.is_contiguous(memory_format=layout)
    one, other = (weights_of(tmp_path / str(layout), digits_domain) for layout in (layout, torch.contiguous_format))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], atol=1e-5, rtol=1e-5)


def test_balanced_weights_are_inverse_to_class_counts():
    weights = class_weights(np.array([0, 0, 0, 2]), 3)
    assert weights.tolist() == pytest.approx([4 / (2 * 3), 0.0, 4 / (2 * 1)])
    counts = np.array([3, 0, 1])
    assert (weights.numpy() * counts).sum() == pytest.approx(4)  # the weighted data set keeps its size


def test_balanced_weighting_enters_the_training_loss_and_not_evaluation(small_backbones, digits_domain, tmp_path):
    location = small_backbones["timm_vit"]
    backbone = load_backbone(location, digits_domain.class_names)
    uneven = digits_domain.train.select(np.flatnonzero(digits_domain.train.labels != 3)[:-2])
    domain = type(digits_domain)(**{**vars(digits_domain), "train": uneven})
    trainer = build_trainer(
        backbone, domain, ModelArguments(location, class_weighting="balanced"), arguments_for(tmp_path)
    )
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    weights = class_weights(uneven.labels, 10)
    backbone.model.train()
    loss = trainer.compute_loss(backbone.model, batch)
    logits = backbone.model(pixel_values=batch["pixel_values"]).logits
    log_probabilities = torch.log_softmax(logits, 1)[torch.arange(len(logits)), batch["labels"]]
    of_sample = weights[batch["labels"]]
    assert loss.item() == pytest.approx((-(of_sample * log_probabilities).sum() / of_sample.sum()).item(), rel=1e-5)
    backbone.model.eval()
    loss = trainer.compute_loss(backbone.model, batch)
    assert loss.item() == pytest.approx(-log_probabilities.mean().item(), rel=1e-5)


def test_early_stopping_follows_validation_likelihood(small_backbones, digits_domain, tmp_path):
    location = small_backbones["timm_vit"]
    backbone = load_backbone(location, digits_domain.class_names)
    arguments = arguments_for(tmp_path, num_train_epochs=6, learning_rate=0.0)
    model_arguments = ModelArguments(location, early_stopping_patience=2)
    trainer = build_trainer(backbone, digits_domain, model_arguments, arguments)
    trainer.train()
    assert trainer.state.epoch == pytest.approx(3)  # the first is best, two more without improvement
    assert trainer.state.best_metric == pytest.approx(trainer.evaluate()["eval_negative_log_likelihood"], rel=1e-6)


def test_accumulated_gradients_equal_one_large_batch(small_backbones, digits_domain, tmp_path):
    """A transformer without dropout: its loss is a mean over images, whatever the batches."""
    location = small_backbones["timm_vit"]
    weights = []
    for size, steps in ((10, 1), (5, 2)):
        backbone = load_backbone(location, digits_domain.class_names)
        arguments = arguments_for(
            tmp_path / str(size),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            max_steps=2,
            optim="sgd",
            learning_rate=0.1,
            save_strategy="no",
            eval_strategy="no",
            load_best_model_at_end=False,
        )
        build_trainer(backbone, digits_domain, ModelArguments(location), arguments).train()
        weights.append(backbone.model.state_dict())
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-6, rtol=1e-5)


def test_bfloat16_trains_float32_weights_on_a_cpu(small_backbones, digits_domain, tmp_path):
    location = small_backbones["timm_resnet"]
    backbone = load_backbone(location, digits_domain.class_names)
    result = finetune(backbone, digits_domain, ModelArguments(location), arguments_for(tmp_path, bf16=True))
    assert {tensor.dtype for tensor in backbone.model.parameters()} == {torch.float32}
    assert 0 <= result.test["accuracy"] <= 1


def test_evaluation_keeps_a_few_numbers_per_image_and_no_logits(small_backbones, digits_domain, tmp_path):
    location = small_backbones["timm_resnet"]
    backbone = load_backbone(location, digits_domain.class_names)
    trainer = build_trainer(backbone, digits_domain, ModelArguments(location), arguments_for(tmp_path))
    output = trainer.predict(trainer.eval_dataset)
    shapes = {np.shape(column) for column in (*output.predictions, *output.label_ids)}
    assert shapes == {(len(digits_domain.validation),)}


def test_streamed_training_runs_to_its_steps_and_resumes_exactly(small_backbones, image_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)  # all shards are local here
    folder = image_folder({"train": 6, "test": 2})
    domain = load_domain(DomainArguments(str(folder), streaming=True, train_val_split=0.3, shuffle_buffer_size=8))
    assert isinstance(domain.train, ImageStream)
    location = small_backbones["timm_resnet"]
    options = {
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "save_strategy": "steps",
        "save_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 2,
    }

    def run(target):
        backbone = load_backbone(location, domain.class_names)
        return finetune(backbone, domain, ModelArguments(location), arguments_for(target, **options))

    whole = run(tmp_path / "whole")

    with interrupted_at(5), pytest.raises(InterruptionError):
        run(tmp_path / "resumed")
    assert run(tmp_path / "resumed").test == whole.test
    assert_same_weights(weights_of(tmp_path / "whole", domain), weights_of(tmp_path / "resumed", domain))


def test_a_stream_needs_max_steps(small_backbones, image_folder, tmp_path):
    domain = load_domain(
        DomainArguments(str(image_folder({"train": 6, "test": 2})), streaming=True, train_val_split=0.3)
    )
    location = small_backbones["timm_resnet"]
    with pytest.raises(InputError, match="max_steps"):
        build_trainer(
            load_backbone(location, domain.class_names), domain, ModelArguments(location), arguments_for(tmp_path)
        )


def test_a_disk_that_is_too_small_is_said_before_training(tmp_path):
    with pytest.raises(DiskFullError, match=r"needs about .* GB for 3 checkpoints, but the disk has"):
        require_disk_space(tmp_path / "run", num_parameters=10**14, checkpoints=3)
    require_disk_space(tmp_path / "run", num_parameters=10, checkpoints=3)


def test_fine_tuning_learns_more_than_the_untrained_network(shared_data, tmp_path):
    """CIFAR-10, 20 images a class: margins over chance (0.1) and over the same network untrained."""
    domain = load_domain(
        DomainArguments(
            str(shared_data / "cifar10-small"),
            registered_as="cifar10",
            samples_per_class=20,
            max_eval_samples=20,
            max_test_samples=200,
        )
    )
    accuracies = {}
    for name in ("twin-resnet18-supervised", "untrained:twin-resnet18-supervised"):
        backbone = load_backbone(name, domain.class_names)
        arguments = arguments_for(
            tmp_path / name.replace(":", "-"),
            per_device_train_batch_size=20,
            num_train_epochs=3,
            learning_rate=1e-3,
            eval_strategy="no",
            save_strategy="no",
            load_best_model_at_end=False,
        )
        accuracies[name] = finetune(backbone, domain, ModelArguments(name), arguments).test["accuracy"]
    trained, untrained = accuracies.values()
    assert trained > 0.1 + 0.2
    assert trained > untrained + 0.1
