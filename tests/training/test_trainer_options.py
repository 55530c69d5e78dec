"""Every option of the Trainer does what it says or is refused with a sentence, and the best epoch is the one kept."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.training import option_combinations
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.evaluation import GREATER_IS_BETTER, Predictions
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.trainer_options import HONOURED, REFUSED
from hf_sslgen.training.trainer_setup import build_trainer
from hf_sslgen.zoo.backbone_loading import load_backbone


def arguments_for(folder: Path, **options) -> FineTuningArguments:
    return FineTuningArguments(str(folder), use_cpu=True, disable_tqdm=True, **options)


def test_every_option_is_honoured_or_refused():
    """A new release of transformers may add options: each must be looked at and put into one of the tables."""
    fields = {field.name for field in dataclasses.fields(FineTuningArguments)}
    assert fields == HONOURED.keys() | REFUSED.keys()
    assert not HONOURED.keys() & REFUSED.keys()


OTHER_VALUES = {
    "optim_target_modules": "all-linear",
    "liger_kernel_config": {"rope": True},
    "neftune_noise_alpha": 5.0,
    "include_num_input_tokens_seen": "all",
    "trackio_static_space_id": "me/space",
    "include_for_metrics": ["inputs"],
    "hub_strategy": "checkpoint",
    "accelerator_config": {"split_batches": True},
    "parallelism_config": "any",
    "label_names": ["labels"],
    "train_sampling_strategy": "sequential",
    "length_column_name": "size",
    "fsdp": "full_shard",
    "fsdp_config": {"version": 2},
    "deepspeed": "zero3.json",
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_option_says_why_and_is_taken_as_it_is_by_default(name, tmp_path):
    (field,) = (field for field in dataclasses.fields(FineTuningArguments) if field.name == name)
    other = OTHER_VALUES.get(name, not field.default)
    with pytest.raises(InputError, match=f"^{name} is .*, which is not supported: .*; drop it$"):
        arguments_for(tmp_path, **{name: other})
    if isinstance(field.default, bool):
        arguments_for(tmp_path, **{name: field.default})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--eval_strategy steps", "also give --save_strategy steps"),
        ("--eval_strategy no", "also give --load_best_model_at_end false"),
        ("--eval_strategy no --save_strategy best --load_best_model_at_end false", "give --eval_strategy epoch"),
        ("--eval_strategy steps --save_strategy steps --eval_steps 7", "make save_steps a multiple of that"),
        ("--eval_steps 5", "needs --eval_strategy steps"),
        ("--save_steps 5", "needs --save_strategy steps"),
        ("--fp16", "fp16 is true, which needs a GPU"),
        ("--fp16 --bf16", "give only one of them"),
        ("--tf32 true", "needs an NVIDIA GPU"),
        ("--report_to wandb", "report_to is 'wandb', which is not installed; run `pip install wandb`"),
        ("--report_to tensorbord", "all, none; did you mean 'tensorboard'"),
        ("--run_name mine", "also give --report_to"),
        ("--project mine", "needs --report_to trackio"),
        ("--dataloader_prefetch_factor 2", "also give --dataloader_num_workers"),
        ("--dataloader_persistent_workers", "also give --dataloader_num_workers"),
        ("--metric_for_best_model acuracy", "did you mean 'accuracy'"),
        ("--metric_for_best_model runtime", "is not measured on the validation split; known: loss, accuracy"),
        ("--metric_for_best_model confidence_gap", "has no better direction"),
        ("--metric_for_best_model accuracy --greater_is_better false", "higher accuracy is better"),
        ("--metric_for_best_model eval_loss --greater_is_better true", "lower loss is better"),
        ("--learning_rate nan", "learning_rate is 'nan'; it must be a number"),
        ("--learning_rate -1", "at least 0"),
        ("--weight_decay -1", "weight_decay is -1.0; it must be at least 0"),
        ("--seed 1.5", "seed is '1.5'; it must be a whole number"),
        ("--seed -1", "at least 0"),
        ("--num_train_epochs 0", "above 0"),
        ("--max_steps 0", "at least 1, or -1"),
        ("--per_device_train_batch_size 0", "at least 1"),
        ("--adam_beta1 1", "below 1"),
        ("--logging_steps 1.5", "a whole number"),
        ("--optim lion_32bit", "optim is 'lion_32bit'; it must be one of adamw_torch"),
        ("--optim_args beta=1", "'beta', which optimiser 'adamw_torch' does not accept; drop it"),
        ("--optim sgd --optim_args lr=1", "it accepts momentum, dampening, nesterov"),
        ("--optim sgd --optim_args momentum=big", "optim_args: momentum is 'big'"),
        ("--lr_scheduler_type cosin", "did you mean 'cosine'"),
        ("--lr_scheduler_type constant --warmup_steps 5", "has no warm-up"),
        ("--lr_scheduler_type constant --lr_scheduler_kwargs {a:1}", "accepts none"),
        ("--lr_scheduler_type greedy --eval_strategy no --load_best_model_at_end false", "give --eval_strategy epoch"),
        ('--lr_scheduler_type reduce_lr_on_plateau --lr_scheduler_kwargs {"mode":"max"}', "needs 'min'"),
        ("--log_level loud", "one of detail, debug"),
        ("--torch_compile_backend tvn", "torch_compile_backend is 'tvn'; it must be one of"),
        ("--dataloader_multiprocessing_context thread", "one of fork, spawn, forkserver"),
    ],
)
def test_what_does_not_go_together_or_is_out_of_range_is_one_sentence(options, message, tmp_path):
    command_line = ["--output_dir", str(tmp_path), "--use_cpu", *options.split()]
    with pytest.raises(InputError) as raised:
        parse_arguments((FineTuningArguments,), "", command_line)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("has_gpu", "cores", "processes", "workers"),
    [(True, 6, 1, 5), (True, 64, 4, 8), (True, 4, 8, 0), (False, 6, 1, 0)],
)
def test_loader_workers_are_chosen_by_device_cores_and_processes(
    has_gpu, cores, processes, workers, tmp_path, monkeypatch
):
    monkeypatch.setattr(option_combinations.torch.accelerator, "is_available", lambda: has_gpu)
    monkeypatch.setattr(option_combinations.sys, "platform", "linux")
    monkeypatch.setattr(option_combinations.os, "sched_getaffinity", lambda process: range(cores), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    arguments = FineTuningArguments(str(tmp_path), disable_tqdm=True)
    assert arguments.dataloader_num_workers == workers
    assert arguments.dataloader_persistent_workers == (workers > 0)
    assert FineTuningArguments(str(tmp_path), disable_tqdm=True, dataloader_num_workers=3).dataloader_num_workers == 3


def test_bfloat16_on_a_cpu_needs_no_other_option_and_says_where_it_is_slow(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(option_combinations.torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(option_combinations, "BF16_INSTRUCTIONS", {"none such"})
    with caplog.at_level(logging.WARNING):
        arguments = FineTuningArguments(str(tmp_path), bf16=True)
    assert arguments.use_cpu
    assert ("no bfloat16 instructions" in caplog.text) == Path("/proc/cpuinfo").is_file()


def test_every_validation_number_has_a_direction_or_none():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(7), size=40)
    predictions = Predictions.from_probabilities(np.arange(40), rng.integers(0, 7, 40), probabilities)
    assert GREATER_IS_BETTER.keys() - {"loss"} < predictions.measures(7).keys()
    assert predictions.measures(7).keys() - GREATER_IS_BETTER.keys() == {
        *("mean_confidence", "mean_confidence_correct", "mean_confidence_incorrect"),
        *("confidence_gap", "ece_if_calibrated"),
    }


@pytest.mark.parametrize("name", GREATER_IS_BETTER)
def test_whether_more_is_better_follows_from_the_number(name, tmp_path):
    for spelling in (name, f"eval_{name}"):
        arguments = arguments_for(tmp_path, metric_for_best_model=spelling)
        assert arguments.greater_is_better is GREATER_IS_BETTER[name]
        assert arguments.greater_is_better is (
            name in {"accuracy", "auroc", "mean_per_class_accuracy", "top_5_accuracy"}
        )


@pytest.mark.parametrize(("name", "best"), [("accuracy", max), ("eval_loss", min)])
def test_the_best_epoch_is_kept(name, best, small_backbones, digits_domain, tmp_path):
    location = small_backbones["timm_vit"]
    backbone = load_backbone(location, digits_domain.class_names)
    options = {"learning_rate": 1e-2, "per_device_train_batch_size": 10, "lr_scheduler_type": "constant"}
    arguments = arguments_for(tmp_path, metric_for_best_model=name, num_train_epochs=3, save_total_limit=9, **options)
    trainer = build_trainer(backbone, digits_domain, ModelArguments(location), arguments)
    trainer.train()
    key = f"eval_{name.removeprefix('eval_')}"
    of_epochs = [row[key] for row in trainer.state.log_history if key in row]
    assert len(set(of_epochs)) > 1
    assert trainer.state.best_metric == best(of_epochs)
    assert trainer.evaluate()[key] == pytest.approx(best(of_epochs), rel=1e-5)


def test_a_schedule_that_follows_a_number_follows_its_direction(tmp_path):
    for name, mode in (("accuracy", "max"), ("negative_log_likelihood", "min")):
        arguments = arguments_for(tmp_path, lr_scheduler_type="reduce_lr_on_plateau", metric_for_best_model=name)
        assert arguments.lr_scheduler_kwargs == {"mode": mode}


def test_optimiser_arguments_mean_what_they_say(small_backbones, digits_domain, tmp_path):
    """The Trainer takes only some spellings of true."""
    location = small_backbones["timm_resnet"]
    backbone = load_backbone(location, digits_domain.class_names)
    arguments = arguments_for(tmp_path, optim="sgd", optim_args="momentum=0.5, nesterov=on")
    optimiser = build_trainer(backbone, digits_domain, ModelArguments(location), arguments).create_optimizer()
    assert (optimiser.defaults["momentum"], optimiser.defaults["nesterov"]) == (0.5, True)


@pytest.mark.parametrize(
    ("options", "model_options", "message"),
    [
        ({"lr_scheduler_type": "cosine_with_min_lr"}, {}, "lr_scheduler_type 'cosine_with_min_lr' with"),
        ({"lr_scheduler_kwargs": {"speed": 3}}, {}, "lr_scheduler_type 'cosine' with lr_scheduler_kwargs"),
        ({"optim": "sgd", "optim_args": "nesterov=true"}, {}, "optim 'sgd'"),
        (
            {"load_best_model_at_end": False},
            {"early_stopping_patience": 2},
            "leave load_best_model_at_end true",
        ),
        ({"activation_checkpointing": True}, {}, "does not support it"),
        ({"resume_from_checkpoint": "elsewhere/checkpoint-3"}, {}, "is not the last complete checkpoint of the run"),
    ],
)
def test_what_shows_only_with_a_network_is_one_sentence(
    options, model_options, message, small_backbones, digits_domain, tmp_path
):
    location = small_backbones["transformers_resnet"]
    backbone = load_backbone(location, digits_domain.class_names)
    arguments = arguments_for(tmp_path / "run", num_train_epochs=1, **options)
    with pytest.raises(InputError, match=message):
        finetune(backbone, digits_domain, ModelArguments(location, **model_options), arguments)


def test_what_may_be_said_of_resumption(small_backbones, digits_domain, tmp_path):
    location, folder = small_backbones["timm_resnet"], tmp_path / "run"
    options = {"per_device_train_batch_size": 10, "num_train_epochs": 1}

    def run(**more):
        backbone = load_backbone(location, digits_domain.class_names)
        return finetune(backbone, digits_domain, ModelArguments(location), arguments_for(folder, **options, **more))

    first = run(resume_from_checkpoint=False).test
    (checkpoint,) = folder.glob("checkpoint-*")
    (folder / "results.json").unlink()
    with pytest.raises(
        InputError, match=r"resume_from_checkpoint is false, but output_dir .* holds an unfinished run"
    ):
        run(resume_from_checkpoint=False)
    assert run(resume_from_checkpoint=str(checkpoint)).test == first
    (folder / "results.json").unlink()
    assert run(resume_from_checkpoint=True).test == first
