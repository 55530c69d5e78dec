"""One checkpoint on one domain, by the command."""

import json

import pandas as pd
import pytest

from hf_sslgen.command_line import run_command

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
    assert figures == of_predictions | {"attribution", "concentration", "invariance_fine_tuned"}
    assert "invariance" in capsys.readouterr().out


def test_without_a_classifier_only_invariance_is_measured(tmp_path):
    options = ["--model_name_or_path", "twin-resnet18-supervised", *DOMAIN, "--output_dir", str(tmp_path / "analysis")]
    run_command("hf_sslgen.commands.analyze", options)
    rows = json.loads((tmp_path / "analysis" / "results.json").read_text())["numbers"]
    metrics = {row["metric"] for row in rows}
    assert "invariance" in metrics
    assert "accuracy" not in metrics
    assert {row["stage"] for row in rows} == {"pretrained"}
