"""Metrics as Spaces: copies that equal their originals, and work where there is neither hf_sslgen nor torch."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from evaluate.loading import get_imports

import hf_sslgen
from hf_sslgen import metric_names
from hf_sslgen.reporting.metric_spaces import space_files

ROOT = Path(hf_sslgen.__file__).parents[1]
AVAILABLE = {"evaluate", "datasets", "numpy", "pyarrow", "scipy"}  # what `pip install evaluate scipy` brings
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture(scope="module")
def spaces() -> dict[str, dict[str, str]]:
    return {name: space_files(name, f"some-org/{name}") for name in metric_names()}


def copies(name: str, files: dict[str, str]) -> list[str]:
    return [file for file in files if file.startswith(("metrics_", "evaluate_modules_"))]


@pytest.mark.parametrize("name", metric_names())
def test_copies_equal_their_originals_but_for_import_names(spaces, name):
    assert len(copies(name, spaces[name])) >= 4
    for file in copies(name, spaces[name]):
        room = "metrics" if file.startswith("metrics_") else "evaluate_modules"
        original = (ROOT / "hf_sslgen" / room / file.removeprefix(f"{room}_")).read_text(encoding="utf-8")
        copy = spaces[name][file]
        back = re.sub(
            r"^from \.(metrics|evaluate_modules)_(\w+) import", r"from hf_sslgen.\1.\2 import", copy, flags=re.M
        )
        assert back == original
        assert "import hf_sslgen" not in copy


@pytest.mark.parametrize("name", metric_names())
def test_scripts_name_every_copy_and_nothing_that_has_to_be_installed(spaces, name, tmp_path):
    """By evaluate's own scanner, which takes a comment behind an import for an address to fetch from."""
    script = tmp_path / f"{name}.py"
    script.write_text(spaces[name][f"{name}.py"], encoding="utf-8")
    imports = get_imports(str(script))
    assert {kind for kind, *_ in imports} == {"internal", "library"}
    assert {f"{file}.py" for kind, file, *_ in imports if kind == "internal"} == set(copies(name, spaces[name]))

    for file in [f"{name}.py", *copies(name, spaces[name])]:
        for node in ast.walk(ast.parse(spaces[name][file])):
            if isinstance(node, ast.Import):
                tops = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                tops = {str(node.module).partition(".")[0]}
            else:
                continue
            assert tops <= AVAILABLE | sys.stdlib_module_names, f"{file} imports {tops}"


def test_cards_have_what_the_hub_asks_for(spaces):
    for name, files in spaces.items():
        _, front, body = files["README.md"].split("---\n", 2)
        matter = yaml.safe_load(front)
        assert matter["sdk"] == "gradio"
        assert matter["app_file"] in files
        assert {"evaluate", "metric"} <= set(matter["tags"])
        assert matter["license"] == "apache-2.0"
        assert {matter["colorFrom"], matter["colorTo"]} <= COLOURS
        assert len(matter["short_description"]) <= 60
        for part in (
            f'evaluate.load("some-org/{name}")',
            "## Limits\n\n- ",
            "```bibtex\n@",
            ">>> ",
            "Returns a dict.",
        ):
            assert part in body, f"{name}: {part}"
        assert max(map(len, body.splitlines())) <= 120


def test_requirements_are_those_of_the_package(spaces):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for files in spaces.values():
        assert set(files["requirements.txt"].split()) <= set(project["dependencies"])


COMPUTE = """
import numpy as np, os, pathlib
results = {}
for path in sorted(pathlib.Path("spaces").iterdir()):
    inputs = dict(np.load(f"{path.name}.npz"))
    results[path.name] = evaluate.load(str(path)).compute(**inputs, return_per_sample=True)
    if path.name in ("brier_score", "expected_calibration_error", "prediction_confidence", "risk_coverage"):
        results[path.name + " of rows"] = evaluate.load(str(path)).compute(**np.load("rows.npz"))
assert "torch" not in sys.modules
print(json.dumps(results))
"""


def test_copies_compute_the_same_without_hf_sslgen_and_torch(spaces, modules, digits, run_alone, tmp_path):
    generator = np.random.default_rng(5)
    features = generator.normal(size=(50, 6))
    table = {"probabilities": digits.probabilities, "references": digits.references}
    maps = generator.normal(size=(20, 4, 4))
    inputs = dict.fromkeys(metric_names(), table)
    inputs |= {
        "attribution_concentration": {"maps": maps},
        "attribution_localization": {"maps": maps, "masks": generator.random((20, 8, 8))},
        "invariance": {"features": features, "transformed_features": features + generator.normal(size=features.shape)},
    }
    inputs = {name: inputs[name] for name in metric_names()}
    expected = {}
    for name, files in spaces.items():
        (tmp_path / "spaces" / name).mkdir(parents=True)
        for file, text in files.items():
            (tmp_path / "spaces" / name / file).write_text(text, encoding="utf-8")
        np.savez(tmp_path / f"{name}.npz", **inputs[name])
        every = {} if name == "risk_coverage" else {"return_per_sample": True}
        expected[name] = modules[name].compute(**inputs[name], **every)
        if "probabilities" in inputs[name]:
            expected[f"{name} of rows"] = modules[name].compute(**digits.columns())
    np.savez(tmp_path / "rows.npz", **digits.columns())
    np.testing.assert_equal(run_alone(COMPUTE), expected)
