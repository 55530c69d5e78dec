"""The (N, C) route: right numbers for every form of input, in one pass over blocks."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from hf_sslgen.metrics import class_scores as module
from hf_sslgen.metrics import top_label
from hf_sslgen.metrics.class_scores import BLOCK_BYTES, class_scores

pytestmark = pytest.mark.filterwarnings("error")


def probabilities(n, num_classes, dtype=np.float64, seed=0):
    return softmax(2.0 * np.random.default_rng(seed).normal(size=(n, num_classes)), axis=1).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_agrees_with_argmax_and_max_of_the_whole(n, num_classes, seed, dtype):
    p = probabilities(n, num_classes, dtype, seed)
    references = np.random.default_rng(seed).integers(num_classes, size=n)
    result = top_label(p, references)
    assert (result.n, result.num_classes) == (n, num_classes)
    assert result.per_sample_confidence.dtype == np.float64
    np.testing.assert_array_equal(result.per_sample_prediction, p.argmax(1))
    np.testing.assert_array_equal(result.per_sample_confidence, p.max(1).astype(np.float64))
    np.testing.assert_array_equal(result.per_sample_correct, p.argmax(1) == references)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_logits_take_a_softmax_in_float64(dtype):
    logits = (20 * np.random.default_rng(0).normal(size=(50, 7))).astype(dtype)
    result = top_label(logits, [0] * 50, from_logits=True)
    expected = softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(result.per_sample_confidence, expected.max(1), rtol=1e-14)
    np.testing.assert_array_equal(result.per_sample_prediction, expected.argmax(1))
    shifted = top_label(logits.astype(np.float64) + 1024.0, [0] * 50, from_logits=True)
    np.testing.assert_allclose(shifted.per_sample_confidence, result.per_sample_confidence, rtol=1e-9)


def test_the_first_of_tied_classes_is_predicted():
    assert top_label([[0.5, 0.5], [0.0, 1.0]], [1, 1]).per_sample_prediction.tolist() == [0, 1]
    assert top_label(np.zeros((1, 4)), [3], from_logits=True).per_sample_confidence.tolist() == [0.25]


def test_extreme_logits_saturate_without_a_warning():
    logits = [[1e308, -1e308], [-1e308, -1e308], [0.0, 1e-320]]
    assert top_label(logits, [0, 0, 0], from_logits=True).per_sample_confidence.tolist() == [1.0, 0.5, 0.5]


def test_rounding_beyond_one_is_clipped():
    assert top_label([[1.0 + 9e-7, -9e-7]], [0]).per_sample_confidence.tolist() == [1.0]


@pytest.fixture
def table():
    """Probabilities that fill several blocks, exact in bfloat16: multiples of 1/16."""
    generator = np.random.default_rng(1)
    p = generator.multinomial(16, [0.4, 0.1, 0.1, 0.2, 0.2], size=3 * BLOCK_BYTES // 20 + 17) / 16
    return p, generator.integers(5, size=len(p))


def read_only(p):
    p.flags.writeable = False
    return p


FORMS = {
    "float32": lambda p: p.astype(np.float32),
    "float16": lambda p: p.astype(np.float16),
    "longdouble": lambda p: p.astype(np.longdouble),
    "fortran": np.asfortranarray,
    "every other column": lambda p: np.repeat(p, 2, axis=1)[:, ::2],
    "reversed rows": lambda p: p[::-1].copy()[::-1],
    "byte-swapped": lambda p: p.astype(">f4"),
    "read-only": read_only,
    "list": lambda p: p.tolist(),
    "torch float32": lambda p: torch.tensor(p).float(),
    "torch bfloat16": lambda p: torch.tensor(p).bfloat16(),
    "torch half with gradient": lambda p: torch.tensor(p).half().requires_grad_(),
    "torch transposed": lambda p: torch.tensor(p.T.copy()).T,
    "list of tensors": lambda p: list(torch.tensor(p)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_numbers_gives_the_same_result(form, table):
    p, references = table
    if "list" in form:
        p, references = p[:200], references[:200]
    expected = top_label(p.copy(), references)
    given_form = FORMS[form](p.copy())
    result = top_label(given_form, references)
    np.testing.assert_array_equal(result.per_sample_prediction, expected.per_sample_prediction)
    np.testing.assert_array_equal(result.per_sample_confidence, expected.per_sample_confidence)
    np.testing.assert_array_equal(result.per_sample_prediction, p.argmax(1))


def test_blocks_partition_the_rows_and_are_not_larger_than_they_say(table):
    blocks = list(class_scores(table[0].astype(np.float32), "x", from_logits=False).blocks())
    assert len(blocks) == 4
    assert [block.rows.start for block in blocks[1:]] == [block.rows.stop for block in blocks[:-1]]
    assert (blocks[0].rows.start, blocks[-1].rows.stop) == (0, len(table[0]))
    assert all(block.scores.nbytes <= BLOCK_BYTES for block in blocks)


@pytest.mark.parametrize(
    ("row", "values", "message"),
    [
        (-1, [np.nan, 0, 0, 0, 1], r"finite, but probabilities\[{row}, 0\] is nan"),
        (-1, [1, 0, 0, np.inf, 0], r"finite, but probabilities\[{row}, 3\] is inf"),
        (-1, [1, 0, 0, 0, -np.inf], r"finite, but probabilities\[{row}, 4\] is -inf"),
        (-2, [1, 0, 0, 0, -2e-6], r"probabilities in \[0, 1\] .*, but probabilities\[{row}, 4\] is -(2e-06|1.99999)"),
        (-2, [0, 1 + 2e-6, 0, 0, 0], r"probabilities in \[0, 1\] .*, but probabilities\[{row}, 1\] is 1.00000"),
        (-3, [0.4, 0.4, 0.1, 0.0989, 0], r"rows that sum to 1 within 0.001, but row {row} sums to 0.9989"),
        (-3, [0.4, 0.4, 0.1, 0.1011, 0], r"rows that sum to 1 within 0.001, but row {row} sums to 1.0011"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_wrong_in_a_late_block_is_found_and_named_by_its_place(table, row, values, message, dtype):
    p = table[0].astype(dtype)
    p[row] = values
    p[-1, :] = p[-1, :] if row == -1 else [0.2] * 5
    with pytest.raises(ValueError, match=message.format(row=len(p) + row) + r".*shape \(\d+, 5\)"):
        top_label(p, table[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_just_inside_the_tolerances_pass(dtype):
    p = np.array([[0.5, 0.5009], [0.5, 0.4991], [1.0, -9e-7], [1 + 9e-7, 0]], dtype=dtype)
    assert top_label(p, [0, 0, 0, 0]).n == 4


def test_doubtful_float32_sums_are_decided_in_float64():
    # 2^20 small classes: in float32 one after the other they would lose most of their sum
    p = np.full((1, 2**20 + 1), 2.0**-21, dtype=np.float32)
    p[0, 0] = 0.5
    assert top_label(p, [0]).per_sample_confidence.tolist() == [0.5]


def large(form):
    generator = np.random.default_rng(0)
    p = generator.random((20_000, 500), dtype=np.float32)
    p /= p.sum(axis=1, keepdims=True)
    return {"plain": p, "fortran": np.asfortranarray(p), "half": p.astype(np.float16)}[form]


@pytest.mark.parametrize("form", ["plain", "fortran", "half"])
@pytest.mark.parametrize("from_logits", [False, True])
def test_memory_grows_by_blocks_and_not_by_the_whole(form, from_logits):
    p = large(form)
    references = np.zeros(len(p), dtype=np.int64)
    tracemalloc.start()
    top_label(p, references, from_logits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6  # the input has 40 MB, or 20


def test_small_blocks_change_nothing(table, monkeypatch):
    p, references = table[0][:101], table[1][:101]
    expected = top_label(p, references)
    monkeypatch.setattr(module, "BLOCK_BYTES", 100)
    result = top_label(p, references)
    np.testing.assert_array_equal(result.per_sample_confidence, expected.per_sample_confidence)
