"""From nothing: an environment with `evaluate`, NumPy and SciPy, then the wheel without its dependencies."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from hf_sslgen import metric_names
from hf_sslgen.reporting.metric_spaces import space_files

ROOT = Path(__file__).parents[2]

CHECK = """
import doctest, importlib.util, json, sys
import evaluate
{preparation}
results = {{}}
for name in {names}:
    metric = evaluate.load({location})
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(metric.inputs_description, {{"metric": metric}}, name, None, 0))
    outcome = runner.summarize()
    assert outcome.attempted and not outcome.failed, name
for absent in ("torch", "transformers", "sklearn", {absent}):
    assert importlib.util.find_spec(absent) is None, absent
rows = json.load(open(sys.argv[1]))
metric = evaluate.load({location_of_ece})
print(json.dumps(metric.compute(**rows)["expected_calibration_error"]))
"""


@pytest.mark.slow
def test_spaces_and_the_wheel_need_evaluate_numpy_and_scipy_only(digits, modules, tmp_path):
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    spaces = tmp_path / "spaces"
    for name in metric_names():
        (spaces / name).mkdir(parents=True)
        for file, text in space_files(name, f"org/{name}").items():
            (spaces / name / file).write_text(text, encoding="utf-8")
    requirements = spaces / "risk_coverage" / "requirements.txt"
    run([python, "-m", "pip", "install", "--quiet", "-r", requirements], tmp_path)

    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps({name: values.tolist() for name, values in digits.columns().items()}))
    expected = modules["expected_calibration_error"].compute(**digits.columns())["expected_calibration_error"]
    names = metric_names()
    source = CHECK.format(
        preparation="",
        names=names,
        location=f'"{spaces}/" + name',
        location_of_ece=f'"{spaces}/expected_calibration_error"',
        absent='"hf_sslgen"',
    )
    np.testing.assert_equal(json.loads(run([python, "-c", source, rows], tmp_path)), expected)

    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT], tmp_path)
    (wheel,) = tmp_path.glob("hf_sslgen-*.whl")
    run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], tmp_path)
    source = CHECK.format(
        preparation="import hf_sslgen",
        names=names,
        location="hf_sslgen.metric_path(name)",
        location_of_ece='hf_sslgen.metric_path("expected_calibration_error")',
        absent='"timm"',
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.testing.assert_equal(json.loads(run([python, "-c", source, rows], elsewhere)), expected)


def run(command: list, folder: Path) -> str:
    """Runs a command with a cache of its own and nothing of this process's path; returns what it prints."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=variables, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return done.stdout
