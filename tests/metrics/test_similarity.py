import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_sslgen.metrics import debiased_linear_cka

pytestmark = pytest.mark.filterwarnings("error")


def cka_by_kernels(x, y):
    """From the U-centred kernels of Szekely and Rizzo (2014), whose inner product is the unbiased HSIC."""

    def centred(kernel):
        n = len(kernel)
        u = np.zeros((n, n))
        off = kernel - np.diag(np.diag(kernel))
        for i in range(n):
            for j in range(n):
                if i != j:
                    rows = off[i].sum() / (n - 2) + off[:, j].sum() / (n - 2)
                    u[i, j] = off[i, j] - rows + off.sum() / ((n - 1) * (n - 2))
        return u

    k, l = centred(x @ x.T), centred(y @ y.T)  # noqa: E741
    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 12), st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_agrees_with_kernels(n, d, d_t, seed):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(n, d)) + 1.0, generator.normal(size=(n, d_t)) - 2.0
    y[:, 0] += x[:, 0]
    result = debiased_linear_cka(x, y)
    assert result.linear_cka == pytest.approx(cka_by_kernels(x, y), abs=1e-9)
    assert (result.n, result.reason) == (n, "")
    assert -1.0 - 1e-9 <= result.linear_cka <= 1.0 + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-300, 1e-3, 1.0, 1e300]))
def test_rotation_scale_origin_order_and_sides_change_nothing(seed, scale):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(2, 20, 4))
    y += x
    rotation, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    order = generator.permutation(20)
    moved = debiased_linear_cka(y[order] + 3.0, scale * (x[order] @ rotation + generator.normal(size=4)))
    assert moved.linear_cka == pytest.approx(debiased_linear_cka(x, y).linear_cka, abs=1e-9)


def test_known_levels():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 200, 2000))  # more dimensions than samples: plain CKA would be .9
    assert debiased_linear_cka(x, y).linear_cka == pytest.approx(0.0, abs=0.02)
    assert debiased_linear_cka(x, -3.0 * x).linear_cka == pytest.approx(1.0)
    # Of 20 equal dimensions half are shared: ||S_xy||^2 = 10, ||S_xx||^2 = ||S_yy||^2 = 20.
    x, y = generator.normal(size=(2, 4000, 20))
    y[:, :10] = x[:, :10]
    assert debiased_linear_cka(x, y).linear_cka == pytest.approx(0.5, abs=0.02)


def test_an_anisotropic_mean_does_not_make_features_similar():
    x, y = np.random.default_rng(0).normal(size=(2, 500, 10)) + 50.0
    assert debiased_linear_cka(x, y).linear_cka == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.eye(3), np.eye(3), "3 samples are too few: the unbiased estimate needs 4"),
        (np.full((9, 4), 0.1), np.eye(9), "the variation of features can't be told from none"),
        (
            np.random.default_rng(0).normal(size=(9, 9)),
            np.full((9, 4), 1e300),
            "the variation of transformed_features",
        ),
        (np.zeros((9, 4)), np.zeros((9, 4)), "the variation of features can't be told from none"),
        # the same distance between any two samples: nothing is left of the kernel without its diagonal
        (np.eye(9), np.eye(9), "the variation of features can't be told from none"),
        (
            np.eye(9) @ np.linalg.qr(np.random.default_rng(1).normal(size=(9, 9)))[0],
            np.eye(9),
            "the variation of feat",
        ),
    ],
)
def test_what_does_not_vary_has_no_similarity(x, y, reason):
    result = debiased_linear_cka(x, y)
    assert np.isnan(result.linear_cka)
    assert result.reason.startswith(reason)


def test_no_matrix_of_all_pairs_is_held():
    x, y = np.random.default_rng(0).normal(size=(2, 4000, 8))
    tracemalloc.start()
    debiased_linear_cka(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4000 * 4000 * 8 / 20
