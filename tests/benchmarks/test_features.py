"""Population values of the simulated encoders, against closed forms and against the estimators that have no bias."""

from dataclasses import replace

import pytest
from simulated.features import GALLERY, FeatureScenario
from simulated.repetitions import repeat

KEPT = 0.6
RANKS = ("representation_guards.covariance_effective_rank", "representation_guards.rankme")
ISOTROPIC = FeatureScenario("isotropic", offset=0.0, decay=0.0, kept=KEPT, dimension=12, num_references=60 * GALLERY)
ANISOTROPIC = replace(ISOTROPIC, name="anisotropic", offset=2.0, decay=0.5)


@pytest.mark.parametrize("scenario", [ISOTROPIC, ANISOTROPIC], ids=lambda scenario: scenario.name)
def test_closed_forms(scenario: FeatureScenario) -> None:
    """Every feature keeps the share `KEPT` of its value, so its covariance with its transformed version is that share
    of its variance, whatever that is."""
    truth = scenario.truth(1000)
    assert truth["invariance.distance_invariance"] == pytest.approx(KEPT, abs=0.01)
    assert truth["debiased_linear_cka.linear_cka"] == pytest.approx(KEPT**2, abs=0.01)


def test_isotropic_features_have_no_chance_similarity_and_full_rank() -> None:
    truth = ISOTROPIC.truth(1000)
    assert truth["invariance.chance_cosine"] == pytest.approx(0.0, abs=1e-3)
    assert truth["invariance.invariance"] == pytest.approx(truth["invariance.cosine"], abs=1e-3)
    for rank in RANKS:
        assert truth[rank] == pytest.approx(12.0, abs=0.02)


@pytest.mark.parametrize("scenario", [ISOTROPIC, ANISOTROPIC], ids=lambda scenario: scenario.name)
def test_estimators_agree_with_the_galleries_written_out(scenario: FeatureScenario) -> None:
    """Recall and rank-AUC are counted in whole galleries here, and in expectation over galleries there."""
    rows = {row.number: row for row in repeat(scenario, 600, 25, [0], lambda _: None) if not row.is_interval}
    for number, row in rows.items():
        if number not in RANKS:  # too small by nature in small samples
            assert abs(row.bias) < 4.5 * row.bias_error, number


def test_recall_is_that_of_a_gallery_no_larger_than_the_sample() -> None:
    few, many = (ISOTROPIC.truth(n)["invariance.recall_at_1"] for n in (16, 1000))
    assert few > many + 0.05
