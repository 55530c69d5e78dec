"""Publishing metrics and loading what was published, by the real clients against a Hub on loopback."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_sslgen import metric_names
from hf_sslgen.reporting.metric_spaces import space_files
from tests.loopback_hub import ROLES

SCRIPT = Path(__file__).parents[2] / "scripts" / "publish_metrics.py"


@pytest.fixture
def publish(monkeypatch, capsys):
    """Runs the script with a command line; returns what it prints."""

    def run(*command_line: str, token: str | None = None) -> str:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *command_line])
        if token is None:
            monkeypatch.delenv("HF_TOKEN", raising=False)
        else:
            monkeypatch.setenv("HF_TOKEN", token)
        capsys.readouterr()
        runpy.run_path(str(SCRIPT), run_name="__main__")
        printed = capsys.readouterr()
        assert token is None or token not in printed.out + printed.err
        return printed.out

    return run


OWNER = ROLES["owner"].token

LOAD = """
import numpy as np
metric = evaluate.load("org/expected_calibration_error")
print(json.dumps(metric.compute(**np.load("rows.npz"))["expected_calibration_error"]))
"""


def test_published_metrics_load_anywhere_and_are_updated(
    hub_in_process, publish, run_alone, digits, modules, tmp_path
):
    hub, api = hub_in_process, hub_in_process.api("owner")
    made = publish("--organization", "org", token=OWNER).splitlines()
    assert made == [f"org/{name}: made, {len(space_files(name, name))} files" for name in metric_names()]
    for name in metric_names():
        assert {"README.md", "app.py", f"{name}.py"} <= set(api.list_repo_files(f"org/{name}", repo_type="space"))
        assert not api.repo_info(f"org/{name}", repo_type="space").private

    rows = {name: digits.columns() for name in ("brier_score", "risk_coverage", "prediction_confidence")}
    np.savez(tmp_path / "rows.npz", **digits.columns())
    source = f"""
import numpy as np
rows = np.load("rows.npz")
results = {{name: evaluate.load("org/" + name).compute(**rows) for name in {list(rows)}}}
results["combined"] = evaluate.combine(["org/expected_calibration_error", "org/risk_coverage"]).compute(**rows)
maps = np.random.default_rng(0).normal(size=(9, 4, 4))
results["maps"] = evaluate.load("org/attribution_concentration").compute(maps=maps)
print(json.dumps(results))
"""
    found = run_alone(source, hub.environment(None))
    for name in rows:
        np.testing.assert_equal(found[name], modules[name].compute(**digits.columns()))
    ece = modules["expected_calibration_error"].compute(**digits.columns())["expected_calibration_error"]
    assert found["combined"]["expected_calibration_error"] == ece
    maps = np.random.default_rng(0).normal(size=(9, 4, 4))
    np.testing.assert_equal(found["maps"], modules["attribution_concentration"].compute(maps=maps))

    one = ("--organization", "org", "--modules", "expected_calibration_error")
    space = {"repo_id": "org/expected_calibration_error", "repo_type": "space"}
    before = api.repo_info(**space).sha
    assert publish(*one, token=OWNER) == "org/expected_calibration_error: nothing has changed\n"
    assert api.repo_info(**space).sha == before
    for path in ("app.py", "metrics_older.py", "logo.txt"):
        api.upload_file(path_or_fileobj=b"older", path_in_repo=path, **space)
    assert publish(*one, token=OWNER) == ("org/expected_calibration_error: updated app.py; removed metrics_older.py\n")
    assert "logo.txt" in api.list_repo_files(**space)
    assert run_alone(LOAD, hub.environment(None)) == ece
    assert [visit for visit in hub.visits if visit.status == 501] == []


def test_private_metrics_load_with_a_token(hub_in_process, publish, run_alone, digits, tmp_path):
    publish("--organization", "org", "--modules", "expected_calibration_error", "--private", token=OWNER)
    np.savez(tmp_path / "rows.npz", **digits.columns())
    assert run_alone(LOAD, hub_in_process.environment("reader")) > 0.0
    refused = LOAD.replace("metric = ", "try: metric = ").replace(
        "print", "except FileNotFoundError as error: print(json.dumps(str(error)))\nelse: print"
    )
    assert "Couldn't find" in run_alone(refused, hub_in_process.environment(None))


def test_written_folders_are_what_would_be_published(publish, tmp_path):
    (tmp_path / "risk_coverage").mkdir()
    (tmp_path / "risk_coverage" / "metrics_older.py").write_text("older")
    printed = publish("--output_dir", str(tmp_path), "--modules", "risk_coverage")
    assert printed == f"{tmp_path / 'risk_coverage'}: written\n"
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "risk_coverage").iterdir()}
    assert written == space_files("risk_coverage", "path/to/risk_coverage")


def test_nothing_to_do_is_said(publish, capsys):
    with pytest.raises(SystemExit, match="2"):
        publish()
    assert capsys.readouterr().err.startswith("error: nothing to do: give --output_dir")
