"""What is pasted or uploaded into a Space's app, read without the app."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from hf_sslgen.reporting.metric_spaces import TEMPLATE


@pytest.fixture(scope="module")
def app_inputs():
    """The app's module, which in a Space lies beside the app and in no package."""
    specification = importlib.util.spec_from_file_location("app_inputs", TEMPLATE / "app_inputs.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


ROWS = {"predictions": [1, 0], "confidences": [0.9, 1e-3]}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        "predictions,confidences\n1,0.9\n0,1e-3\n",
        "\n predictions , confidences\r\n1, 0.9\r\n\r\n0, 0.001\r\n",
    ],
)
def test_text_and_files_of_text_are_read_alike(app_inputs, text, tmp_path):
    assert app_inputs.read_inputs(text, None, "") == ROWS
    assert app_inputs.read_inputs(text, None, '{"num_bins": 10}') == {**ROWS, "num_bins": 10}
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / "rows.csv"
        path.write_text(text, encoding=encoding)
        assert app_inputs.read_inputs(" ", str(path), "") == ROWS


def test_numbers_keep_their_kind_and_precision(app_inputs):
    inputs = app_inputs.read_inputs("references,confidences\n9007199254740993,0.30000000000000004", None, "")
    assert inputs == {"references": [2**53 + 1], "confidences": [0.1 + 0.2]}
    assert isinstance(inputs["references"][0], int)


def test_arrays_are_read_and_pickles_are_not(app_inputs, tmp_path):
    maps = np.random.default_rng(0).normal(size=(2, 3, 3)).astype(np.float32)
    np.savez_compressed(tmp_path / "maps.npz", maps=maps)
    inputs = app_inputs.read_inputs("", str(tmp_path / "maps.npz"), "")
    np.testing.assert_array_equal(inputs["maps"], maps)

    np.savez(tmp_path / "objects.npz", maps=np.array([{}, Path()], dtype=object))
    with pytest.raises(ValueError, match=r"objects\.npz is not an \.npz file of plain arrays"):
        app_inputs.read_inputs("", str(tmp_path / "objects.npz"), "")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", "", "there is no input"),
        ("{", "", "the input can't be read as JSON"),
        ('{"predictions": [1]', "", "the input can't be read as JSON"),
        ('{"predictions": [1]}', "num_bins=3", "options can't be read as JSON"),
        ('{"predictions": [1]}', "[3]", "options must be a JSON object .* got list"),
        ("a,b\n1,2\n3", "", "line 3 has 1 values, and the header a, b has 2"),
        ("a,b\n1,2\n\n3,x", "", "line 4: 'x' in column b is not a number"),
        ("a,a\n1,2", "", "the header names a column twice"),
    ],
)
def test_what_cannot_be_read_is_said(app_inputs, text, options, message):
    with pytest.raises(ValueError, match=message):
        app_inputs.read_inputs(text, None, options)


@pytest.mark.parametrize(("name", "content"), [("a.npz", b"no zip"), ("a.csv", b"a\n\xff"), ("a.npz", b"PK\x03\x04x")])
def test_damaged_files_are_named(app_inputs, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.(npz|csv) is no"):
        app_inputs.read_inputs("", str(tmp_path / name), "")
    with pytest.raises(ValueError, match="both text and a file"):
        app_inputs.read_inputs("{}", str(tmp_path / name), "")


def test_the_table_shows_numbers_and_intervals(app_inputs):
    result = {"brier_score": 0.123456789, "brier_score_interval": [0.1, 0.2], "n": 3, "reason": "", "curve": [1, 2]}
    assert app_inputs.as_rows(result) == [
        ["brier_score", "0.123457"],
        ["brier_score_interval", "0.1 to 0.2"],
        ["n", "3"],
        ["reason", ""],
    ]
