"""One checkpoint on one domain, by the command."""

import io
import json

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hf_sslgen.analysis import predictions
from hf_sslgen.command_line import run_command
from hf_sslgen.commands import analyze, run_analyze

DOMAIN = ["--dataset_name", "digits", "--samples_per_class", "5", "--max_test_samples", "50"]


@pytest.mark.parametrize("name", ["timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit"])
def test_a_fine_tuned_checkpoint_is_measured_in_all_four_ways(name, small_backbones, tmp_path, capsys):
    options = ["--model_name_or_path", small_backbones[name], *DOMAIN, "--use_cpu", "--max_steps", "2"]
    run_command("hf_sslgen.commands.finetune", [*options, "--output_dir", str(tmp_path / "run")])
    trained = json.loads((tmp_path / "run" / "results.json").read_text())["test"]
    options = ["--model_name_or_path", str(tmp_path / "run"), *DOMAIN, "--output_dir", str(tmp_path / "analysis")]
    run_command("hf_sslgen.commands.analyze", options)
    rows = json.loads((tmp_path / "analysis" / "results.json").read_text())["numbers"]
    values = {row["metric"]: row["value"] for row in rows if not row["transform"]}
    for metric in ("accuracy", "mean_confidence", "expected_calibration_error", "negative_log_likelihood"):
        assert values[metric] == pytest.approx(trained[metric], abs=1e-5)
    assert 0 <= values["gini"] < 1
    assert values["zero_map_rate"] < 0.9
    transforms = {row["transform"] for row in rows if row["metric"] == "invariance"}
    assert {"rotation", "translation", "resized_crop", "contrast", "gaussian_blur", "jpeg"} <= transforms
    records = pd.read_parquet(tmp_path / "analysis" / "records.parquet")
    assert records[records["transform"] == ""]["sample_id"].is_unique
    figures = {path.stem for path in (tmp_path / "analysis" / "figures").glob("*.png")}
    of_predictions = {"accuracy", "reliability", "risk_coverage"}
    assert figures == of_predictions | {"attribution", "concentration", "invariance_fine_tuned", "surest_errors"}
    assert "invariance" in capsys.readouterr().out


def test_without_a_classifier_only_invariance_is_measured(tmp_path, capsys):
    """And with the stored features of a study, the pictures need not pass again, but their transformed versions."""
    options = ["--model_name_or_path", "twin-resnet18-supervised", *DOMAIN, "--figures", "false"]
    options += ["--features_of", str(tmp_path / "study"), "--output_dir"]
    with pytest.raises(SystemExit):
        run_command("hf_sslgen.commands.analyze", [*options, str(tmp_path / "analysis")])
    assert "it has no cells/" in capsys.readouterr().err
    (tmp_path / "study" / "cells").mkdir(parents=True)
    passes = {}
    for name in ("analysis", "again"):
        run_command("hf_sslgen.commands.analyze", [*options, str(tmp_path / name)])
        cell = json.loads((tmp_path / name / "cell.json").read_text())
        passes[name] = cell["provenance"]["trunk_passes"]
    assert passes["analysis"] == passes["again"] + 50
    found, again = (json.loads((tmp_path / name / "results.json").read_text()) for name in passes)
    assert found["numbers"] == again["numbers"]
    rows = found["numbers"]
    metrics = {row["metric"] for row in rows}
    assert "invariance" in metrics
    assert "accuracy" not in metrics
    assert {row["stage"] for row in rows} == {"pretrained"}


def digits_folder(folder, digits_domain, other_validation):
    """The digits as files, with a burst for every two test images; validation images may be negatives."""
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list("0123456789")),
            "burst": datasets.Value("int32"),
        }
    )
    splits = {"train": digits_domain.train, "validation": digits_domain.validation, "test": digits_domain.test}
    for name, split in splits.items():
        images = []
        for position in range(len(split)):
            pixels = np.asarray(split.image(position))
            buffer = io.BytesIO()
            Image.fromarray(255 - pixels if name == "validation" and other_validation else pixels).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": None})
        columns = {"image": images, "label": split.labels.tolist(), "burst": [row // 2 for row in range(len(split))]}
        datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / f"{name}.parquet")
    return folder


def logits_fitted(monkeypatch, run):
    """The validation logits that a run fits its temperature on."""
    fit, seen = predictions.fit_temperature, []

    def fitted(logits, references):
        seen.append(logits)
        return fit(logits, references)

    with monkeypatch.context() as patch:
        patch.setattr(predictions, "fit_temperature", fitted)
        run()
    (logits,) = seen
    return logits


def test_what_an_interrupted_analysis_left_is_not_used_for_other_images(
    digits_domain, small_backbones, tmp_path, monkeypatch, capsys
):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        digits_folder(tmp_path / name, digits_domain, other_validation=name == "second")
    tune = ["--model_name_or_path", small_backbones["timm_resnet"], "--dataset_name", str(tmp_path / "first")]
    run_command(
        "hf_sslgen.commands.finetune", [*tune, "--use_cpu", "--max_steps", "2", "--output_dir", str(tmp_path / "run")]
    )

    def run(domain, output):
        options = ["--model_name_or_path", str(tmp_path / "run"), "--dataset_name", str(tmp_path / domain)]
        analyze.main([*options, "--pair_column_name", "burst", "--output_dir", str(tmp_path / output)])

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_analyze, "adapted_analysis", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("first", "interrupted")
    assert list((tmp_path / "interrupted" / "unfinished").rglob("others-*.safetensors"))
    capsys.readouterr()
    expected = logits_fitted(monkeypatch, lambda: run("second", "alone"))
    found = logits_fitted(monkeypatch, lambda: run("second", "interrupted"))
    np.testing.assert_array_equal(found, expected)
    assert not (tmp_path / "interrupted" / "unfinished").exists()
    assert "invariance (pair)" in capsys.readouterr().out
