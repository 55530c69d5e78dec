"""What a command refuses: one message, exit code 2, nothing half-written; and what its help tells."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from datasets import Dataset, Features, Image, Value

from hf_sslgen.command_line import run_command
from hf_sslgen.training.trainer import FineTuningTrainer

FINETUNE = "hf_sslgen.commands.finetune"
COMPARE = "hf_sslgen.commands.compare"
ANALYZE = "hf_sslgen.commands.analyze"
QUICK = ["--use_cpu", "--num_train_epochs", "1", "--per_device_train_batch_size", "4"]


@pytest.fixture
def refused(capsys, tmp_path):
    """Run a command that must be refused; returns its message and checks that it wrote nothing."""

    def run(module: str, *options: str) -> str:
        output_dir = tmp_path / "output"
        with pytest.raises(SystemExit) as stopped:
            run_command(module, [*options, "--output_dir", str(output_dir)])
        assert stopped.value.code == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        written = {path.name for path in output_dir.rglob("*")} if output_dir.exists() else set()
        assert written <= {"run.json"}  # what a run was asked to be; it binds nobody before its first checkpoint
        return errors[0]

    return run


@pytest.fixture
def folder(image_folder) -> Path:
    return image_folder({"train": 4, "test": 2})


def test_unknown_backbone(refused, folder):
    message = refused(FINETUNE, "--model_name_or_path", "twin-resnet18-supervisd", "--dataset_name", str(folder))
    assert "model_name_or_path 'twin-resnet18-supervisd'" in message
    assert "did you mean 'twin-resnet18-supervised'" in message


def test_unknown_twin_set(refused, folder):
    message = refused(COMPARE, "--dataset_name", str(folder), "--twin_set", "resnet18-tiny-imagenet")
    assert "'resnet18-tiny-imagenet-100'" in message


def test_unknown_column(refused, folder, small_backbones):
    options = ["--dataset_name", str(folder), "--label_column_name", "labels"]
    message = refused(FINETUNE, "--model_name_or_path", small_backbones["timm_vit"], *options)
    assert "label_column_name 'labels' is not a column" in message
    assert "image (Image), label (ClassLabel)" in message


def test_one_class_only(refused, image_folder, small_backbones):
    folder = image_folder({"train": 4, "test": 2}, num_classes=1)
    message = refused(FINETUNE, "--model_name_or_path", small_backbones["timm_vit"], "--dataset_name", str(folder))
    assert "at least two" in message


def test_label_outside_its_classes(refused, image_folder, small_backbones, tmp_path):
    folder = image_folder({"train": 4, "test": 2})
    parquet = tmp_path / "data"
    parquet.mkdir()
    for split in ("train", "test"):
        files = sorted((folder / split).rglob("*.png"))
        labels = [path.parent.name for path in files]
        if split == "test":
            labels[1] = "unicorn"
        images = [{"bytes": path.read_bytes(), "path": None} for path in files]
        features = Features({"image": Image(), "kind": Value("string")})
        table = Dataset.from_dict({"image": images, "kind": labels}, features=features)
        table.to_parquet(parquet / f"{split}-00000-of-00001.parquet")
    message = refused(FINETUNE, "--model_name_or_path", small_backbones["timm_vit"], "--dataset_name", str(parquet))
    assert "label 'unicorn' in row 1 of split 'test' is outside the 3 classes" in message


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_corrupt_image_is_named(refused, folder, small_backbones, workers):
    broken = sorted((folder / "train").rglob("*.png"))[3]
    broken.write_bytes(broken.read_bytes()[:300])
    options = ["--dataset_name", str(folder), "--dataloader_num_workers", workers, "--train_val_split", "0.3", *QUICK]
    message = refused(FINETUNE, "--model_name_or_path", small_backbones["timm_resnet"], *options)
    assert broken.name in message
    assert "--skip_corrupt" in message
    assert "Traceback" not in message


def test_corrupt_images_are_left_out_and_counted(folder, small_backbones, tmp_path, caplog):
    broken = sorted((folder / "train").rglob("*.png"))[3]
    broken.write_bytes(b"no picture")
    options = ["--dataset_name", str(folder), "--skip_corrupt", "--train_val_split", "0.3", *QUICK]
    location = small_backbones["timm_resnet"]
    run_command(FINETUNE, ["--model_name_or_path", location, *options, "--output_dir", str(tmp_path / "run")])
    assert (tmp_path / "run" / "results.json").exists()
    assert any("left out" in record.message and broken.name in record.message for record in caplog.records)


def test_a_loss_that_is_not_finite(refused, folder, small_backbones):
    options = ["--dataset_name", str(folder), "--learning_rate", "1e30", "--max_grad_norm", "0", *QUICK]
    options += ["--lr_scheduler_type", "constant", "--num_train_epochs", "4", "--save_strategy", "no"]
    options += ["--eval_strategy", "no", "--load_best_model_at_end", "false", "--train_val_split", "0.3"]
    message = refused(FINETUNE, "--model_name_or_path", small_backbones["timm_vit"], *options)
    assert "the loss became nan at step" in message
    assert "learning_rate" in message


def test_memory_that_is_short(refused, folder, small_backbones, monkeypatch):
    monkeypatch.setattr(FineTuningTrainer, "training_step", lambda *arguments, **options: torch.empty(2**50))
    options = ["--dataset_name", str(folder), "--train_val_split", "0.3", *QUICK]
    message = refused(FINETUNE, "--model_name_or_path", small_backbones["timm_resnet"], *options)
    assert re.search(r"not enough memory for --per_device_train_batch_size \d+; give a smaller value", message)


def test_a_folder_of_something_else(capsys, folder, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for module, options in (
        (COMPARE, ["--twin_set", "resnet18-tiny-imagenet-100"]),
        (ANALYZE, ["--model_name_or_path", "twin-resnet18-supervised"]),
    ):
        with pytest.raises(SystemExit):
            run_command(module, [*options, "--dataset_name", str(folder), "--output_dir", str(tmp_path)])
        assert "output_dir" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_protocol_and_mismatched_lists(refused, folder):
    options = ["--dataset_name", str(folder), "--twin_set", "resnet18-tiny-imagenet-100"]
    assert "protocol is ['probe']; it must be one of linear, finetune" in refused(
        COMPARE, *options, "--protocol", "probe"
    )
    assert "group has 2 values for 1 dataset_name" in refused(COMPARE, *options, "--group", "similar", "different")


def test_a_full_disk_is_one_message(capsys, folder, small_backbones, tmp_path):
    """On a real file system of 200 kB, which a checkpoint does not fit on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        options = ["--dataset_name", str(folder), "--train_val_split", "0.3", *QUICK]
        location = small_backbones["timm_resnet"]
        with pytest.raises(SystemExit) as stopped:
            run_command(FINETUNE, ["--model_name_or_path", location, *options, "--output_dir", str(disk / "run")])
        assert stopped.value.code == 2
        assert "the disk has only 0.00 GB free" in capsys.readouterr().err
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("command", ["compare", "analyze", "demo", "finetune", "pretrain", "zoo", "domains", "claims"])
def test_help_tells_the_options(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_command(f"hf_sslgen.commands.{command}", ["--help"])
    assert stopped.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("module", [FINETUNE, ANALYZE])
def test_rows_that_name_no_picture_of_the_data_set(refused, tmp_path, small_backbones, module):
    (tmp_path / "data").mkdir()
    options = ["--model_name_or_path", small_backbones["timm_resnet"], "--dataset_name", str(tmp_path / "data")]
    for path, reason in (
        ("absent.png", "(absent.png) can't be decoded: there is no such file"),
        ("http://127.0.0.1:9/0.png", "it is a web address"),
        ("/etc/hostname", "it lies outside the dataset's folder"),
    ):
        for split in ("train", "test"):
            rows = Dataset.from_dict({"picture": [path] * 12, "label": ["a", "b"] * 6})
            rows.to_parquet(tmp_path / "data" / f"{split}.parquet")
        message = refused(module, *options, "--image_column_name", "picture")
        assert reason in message and "--skip_corrupt" in message


def test_metadata_that_names_a_missing_picture(refused, image_folder, small_backbones):
    folder = image_folder({"train": 4, "test": 4}, num_classes=2)
    for split in ("train", "test"):
        pictures = sorted((folder / split).rglob("*.png"))
        rows = [f"{path.relative_to(folder / split)},{'ab'[row % 2]}" for row, path in enumerate(pictures)]
        (folder / split / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
        if split == "train":
            pictures[2].unlink()
    options = ["--model_name_or_path", small_backbones["timm_resnet"], "--dataset_name", str(folder)]
    assert pictures[0].suffix == ".png"
    message = refused(FINETUNE, *options)
    assert "does not exist" in message


def test_deep_pictures_without_a_range(refused, tmp_path, small_backbones):
    for split in ("train", "test"):
        for label in ("a", "b"):
            (tmp_path / "data" / split / label).mkdir(parents=True)
            for row in range(4):
                pixels = np.random.default_rng([row, len(split)]).uniform(0, 3000, (16, 16)).astype(np.float32)
                PIL.Image.fromarray(pixels).save(tmp_path / "data" / split / label / f"{row}.tif")
    data = ["--dataset_name", str(tmp_path / "data")]
    backbone = ["--model_name_or_path", small_backbones["timm_resnet"]]
    for command in (
        [FINETUNE, *backbone],
        [ANALYZE, *backbone],
        [COMPARE, "--twin_set", "resnet18-tiny-imagenet-100"],
    ):
        message = refused(*command, *data)
        assert "holds floats" in message and "--intensity_range LOW,HIGH" in message
