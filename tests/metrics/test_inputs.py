import subprocess
import sys

import numpy as np
import pytest
import torch

from hf_sslgen.metrics.inputs import (
    binary_array,
    confidence_array,
    float_array,
    label_array,
    open_unit_level,
    positive_integer,
    require_equal_lengths,
    to_numpy,
)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_float_tensors_of_any_precision_become_float64(dtype):
    array = float_array(torch.tensor([0.5, 0.25], dtype=dtype, requires_grad=True), "x", ("N",))
    assert array.dtype == np.float64
    assert array.tolist() == [0.5, 0.25]


def test_integer_tensors_lists_and_lists_of_tensors():
    assert label_array(torch.tensor([0, 2], dtype=torch.int32), "x").tolist() == [0, 2]
    assert label_array([torch.tensor(0), torch.tensor(2)], "x").tolist() == [0, 2]
    rows = [torch.tensor([0.5, 1.0], dtype=torch.bfloat16), torch.tensor([0.0, 0.25], dtype=torch.bfloat16)]
    assert float_array(rows, "x", ("N", "D")).tolist() == [[0.5, 1.0], [0.0, 0.25]]
    assert binary_array(torch.tensor([True, False]), "x", "").tolist() == [True, False]


def test_nothing_imports_torch():
    code = "import sys, hf_sslgen.metrics as m; m.accuracy([0], [0]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([1, "a"], dtype=object), "x must hold real numbers, got dtype object"),
        (["a", "b"], "x must hold real numbers, got dtype <U1"),
        (np.array([1j]), "x must hold real numbers, got dtype complex128"),
        (torch.tensor([1j]), "x must hold real numbers, got dtype complex64"),
        (None, "x must hold real numbers, got dtype object"),
        ([[1, 2], [3]], "x must be a regular numeric array"),
        (np.ma.masked_array([1, 2], [True, False]), "x must be a plain array, got a masked array"),
        (torch.ones(2).to_sparse(), "x must be a dense tensor"),
        (torch.ones(2, device="meta"), "x must be a dense tensor"),
    ],
)
def test_what_is_not_a_numeric_array_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        to_numpy(value, "x")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[0.0, 1.0], [np.nan, 1.0]], r"x must be finite, but x\[1, 0\] is nan \(shape \(2, 2\)\)"),
        ([[0.0, 1.0], [0.0, -np.inf]], r"x must be finite, but x\[1, 1\] is -inf"),
        ([0.0, 1.0], r"x must have shape \(N, D\), got shape \(2,\)"),
        (np.zeros((0, 3)), r"x must not be empty: expected shape \(N, D\), got shape \(0, 3\)"),
    ],
)
def test_float_array_errors(value, message):
    with pytest.raises(ValueError, match=message):
        float_array(value, "x", ("N", "D"))


def test_nan_is_let_through_only_on_request_and_infinity_never():
    assert np.isnan(float_array([np.nan, 1.0], "x", ("N",), allow_nan=True)[0])
    with pytest.raises(ValueError, match=r"x must be finite or NaN, but x\[1\] is inf"):
        float_array([np.nan, np.inf], "x", ("N",), allow_nan=True)


@pytest.mark.parametrize(
    ("value", "num_classes", "message"),
    [
        ([0, 3, 1], 3, r"x must be integer class labels in \[0, 3\), but x\[1\] is 3"),
        ([0, -100], 3, r"x\[1\] is -100"),
        ([0, -1], None, r"x must be integer class labels, but x\[1\] is -1"),
        ([0.0, 0.5], None, r"x\[1\] is 0.5"),
        ([np.nan, 0.5], None, r"x\[0\] is nan"),
        ([np.inf, 0.5], None, r"x\[0\] is inf"),
        (np.array([2**63], dtype=np.uint64), None, r"x\[0\] is 9223372036854775808"),
        ([], None, "x must not be empty"),
        ([[0, 1]], None, r"x must have shape \(N,\), got shape \(1, 2\)"),
        (3, None, r"x must have shape \(N,\), got shape \(\)"),
    ],
)
def test_label_errors(value, num_classes, message):
    with pytest.raises(ValueError, match=message):
        label_array(value, "x", num_classes)


@pytest.mark.parametrize("value", [[0, 2], np.array([0, 2], dtype=np.uint8), [0.0, 2.0], np.array([False, True])])
def test_labels_of_any_integer_kind_are_int64(value):
    labels = label_array(value, "x", 3)
    assert labels.dtype == np.int64
    assert labels.tolist() == [int(v) for v in value]
    assert label_array(value, "x").tolist() == labels.tolist()


def test_binary_errors():
    with pytest.raises(ValueError, match=r"x must be boolean, or 0 and 1 \(meaning\), but x\[1\] is 2"):
        binary_array([1, 2], "x", "meaning")
    with pytest.raises(ValueError, match=r"x\[0\] is nan"):
        binary_array([np.nan, 1], "x", "meaning")


def test_probabilities_within_rounding_are_clipped_and_others_refused():
    assert confidence_array([1.0 + 5e-7, -5e-7], "p").tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match=r"p must be probabilities in \[0, 1\], but p\[1\] is 1.00001"):
        confidence_array([0.5, 1.00001], "p")
    with pytest.raises(ValueError, match=r"p\[0\] is -0.1"):
        confidence_array([-0.1, 0.5], "p")


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "2", None])
def test_positive_integer_errors(value):
    with pytest.raises(ValueError, match="x must be an integer of at least 1, got"):
        positive_integer(value, "x")


@pytest.mark.parametrize("value", [0.0, 1.0, 95, float("nan"), "0.95"])
def test_level_errors(value):
    with pytest.raises(ValueError, match="x must lie strictly between 0 and 1, got"):
        open_unit_level(value, "x")


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError, match=r"a and c must have the same length, got shapes \(2,\) and \(3,\)"):
        require_equal_lengths(a=np.zeros(2), b=np.zeros(2), c=np.zeros(3))
