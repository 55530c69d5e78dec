"""Verdicts on claims: planted effects are found, reversed ones contradict, and what is missing is named."""

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pytest
from scipy import stats

from hf_sslgen.metrics import holm
from hf_sslgen.metrics.target_inference import interaction
from hf_sslgen.study.inference.claims.claim_lines import (
    CONTRADICTED,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    ClaimLine,
    ClaimPart,
    decided,
)
from hf_sslgen.study.inference.scopes import ScopedInterval
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults, infer_over, with_claims
from hf_sslgen.study.published_claims import stated_claims
from tests.support.target_differences import target_difference

NAN = math.nan
DOMAINS = [(f"{group}-{index}", group) for group in ("similar", "different") for index in range(4)]

Effect = Callable[[int, str, str], float]
"""The difference on a domain of this number and group with these labels."""


def differences(
    effect: Effect,
    metric: str = "accuracy",
    budgets: Iterable[str] = ("100%",),
    domains: Iterable[tuple[str, str]] = tuple(DOMAINS),
    by_run: Mapping[int, float] | None = None,
    **fields: str,
) -> list[TargetDifference]:
    """Differences of SimCLR from its supervised twin on each domain, 1 point apart from images; `by_run` adds to each
    pretraining run."""
    stated = {"protocol": "linear", "stage": "pretrained", "transform": "", "first_objective": "simclr"} | fields
    found = []
    for labels in budgets:
        for index, (domain, group) in enumerate(domains):
            value = effect(index, group, labels)
            runs = {run: value + added for run, added in (by_run or {}).items()}
            common = {"first": "simclr", "second": "supervised", "second_objective": "supervised", "source": "in1k"}
            place = {"metric": metric, "domain": domain, "group": group, "labels": labels}
            interval = {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 1000, "run_values": runs}
            found.append(target_difference(**common, **place, **interval, **stated, severity="", seed=0))
    return found


def lines(targets: list[TargetDifference], *claims: str) -> tuple[ClaimLine, ...]:
    return with_claims(infer_over((), (), targets, {}), stated_claims(claims, "claims")).claims


def around(mean: float) -> Effect:
    """Differences of this mean that vary between domains by about a point."""
    return lambda index, group, labels: mean + 0.01 * ((index % 4) - 1.5)


@pytest.mark.parametrize(("mean", "verdict"), [(0.1, SUPPORTED), (-0.1, CONTRADICTED), (0.0, UNDECIDED)])
def test_a_difference_in_each_group(mean: float, verdict: str) -> None:
    (line,) = lines(differences(around(mean)), "accuracy")
    assert line.verdict == verdict and line.scope == "training" and line.over_domains
    assert line.untested == "pretraining: not testable: one run; 3 are needed"
    assert [part.group for part in line.parts] == ["similar", "different"]
    for part in line.parts:
        values = mean + 0.01 * (np.arange(4) - 1.5)
        assert part.within("training").p_value == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)


def test_one_group_does_not_stand_for_the_other() -> None:
    (undecided,) = lines(
        differences(lambda i, group, _: 0.1 * (group == "similar") + 0.01 * (i % 4 - 1.5)), "accuracy"
    )
    assert undecided.verdict == UNDECIDED
    mixed = differences(lambda i, group, _: (0.1 if group == "similar" else -0.1) + 0.01 * (i % 4 - 1.5))
    (contradicted,) = lines(mixed, "accuracy")
    assert contradicted.verdict == CONTRADICTED


def test_few_domains_give_a_verdict_on_these_only() -> None:
    (line,) = lines(differences(around(0.1), domains=DOMAINS[:2]), "accuracy")
    assert (line.verdict, line.scope, line.over_domains) == (SUPPORTED, "weights", False)
    assert [part.domains for part in line.parts] == [("similar-0",), ("similar-1",)]
    (mixed,) = lines(differences(around(0.1), domains=[*DOMAINS[:2], *DOMAINS[4:]]), "accuracy")
    assert len(mixed.parts) == 3 and mixed.scope == "weights" and not mixed.over_domains


def test_three_pretraining_runs_widen_the_scope() -> None:
    targets = differences(around(0.1), by_run={0: -0.15, 1: 0.0, 2: 0.15})
    (line,) = lines(targets, "accuracy")
    assert (line.scope, line.untested, line.verdict) == ("pretraining", "", UNDECIDED)
    (steady,) = lines(differences(around(0.1), by_run={0: -0.002, 1: 0.0, 2: 0.002}), "accuracy")
    assert (steady.scope, steady.verdict) == ("pretraining", SUPPORTED)


def test_all_numbers_of_a_claim_must_agree() -> None:
    brier = differences(around(-0.1), "brier_score")
    (half,) = lines(brier, "confidence")
    assert half.verdict == NOT_TESTABLE
    assert half.reason == "negative log-likelihood not measured under this protocol"
    (both,) = lines(brier + differences(around(-0.1), "negative_log_likelihood"), "confidence")
    assert both.verdict == SUPPORTED and len(both.parts) == 4
    (against,) = lines(brier + differences(around(0.1), "negative_log_likelihood"), "confidence")
    assert against.verdict == CONTRADICTED


def test_interactions() -> None:
    def effect(index: int, group: str, labels: str) -> float:
        return (0.1 if group == "different" else 0.02) + 0.01 * (index % 4 - 1.5)

    (line,) = lines(differences(effect), "accuracy-different")
    assert line.verdict == SUPPORTED and len(line.parts[0].domains) == 8
    offsets = 0.01 * (np.arange(4) - 1.5)
    expected = interaction(0.1 + offsets, 0.02 + offsets)
    scoped = line.parts[0].within("training")
    assert (scoped.low, scoped.high) == pytest.approx((expected.low, expected.high))
    (few,) = lines(differences(effect, domains=DOMAINS[:6]), "accuracy-different")
    assert (few.verdict, few.reason) == (NOT_TESTABLE, "2 domains; 3 are needed")
    (none,) = lines(differences(effect, domains=DOMAINS[:4]), "accuracy-different")
    assert (none.verdict, none.reason) == (NOT_TESTABLE, "needs at least three domains of each group")


BUDGETS = {"1%": 1.0, "10%": 10.0, "100%": 100.0}


@pytest.mark.parametrize(("slope", "verdict"), [(0.02, SUPPORTED), (-0.02, CONTRADICTED), (0.0, UNDECIDED)])
def test_slopes_over_label_budgets(slope: float, verdict: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (8, 3))

    def effect(index: int, group: str, labels: str) -> float:
        return slope * math.log2(BUDGETS[labels]) + float(noise[index, list(BUDGETS).index(labels)])

    (line,) = lines(differences(effect, budgets=BUDGETS), "small-targets")
    assert line.verdict == verdict
    x = np.log2(list(BUDGETS.values()))
    slopes = [stats.linregress(x, slope * x + noise[index]).slope for index in range(8)]
    (part,) = line.parts
    assert part.value == pytest.approx(np.mean(slopes)) and len(part.domains) == 8
    assert part.within("training").p_value == pytest.approx(stats.ttest_1samp(slopes, 0.0).pvalue)


def test_slopes_need_three_budgets_of_one_kind_and_three_domains() -> None:
    (two,) = lines(differences(around(0.1), budgets=("10%", "100%")), "small-targets")
    assert (two.verdict, two.reason) == (NOT_TESTABLE, "2 label budgets; 3 are needed")
    (mixed,) = lines(differences(around(0.1), budgets=("10%", "100%", "5-shot")), "small-targets")
    assert mixed.reason == "2 label budgets; 3 are needed"
    (few,) = lines(differences(around(0.1), budgets=BUDGETS, domains=DOMAINS[:2]), "small-targets")
    assert few.reason == "2 domains; 3 are needed"
    (shots,) = lines(differences(around(0.1), budgets=("1-shot", "2-shot", "16-shot", "100%")), "small-targets")
    assert shots.labels == "1-shot, 2-shot, 16-shot"
    assert shots.reason == "the differences do not vary between domains"  # all slopes are zero


def test_pretraining_runs_are_crossed_with_domains_in_slopes() -> None:
    def effect(index: int, group: str, labels: str) -> float:
        return (0.02 + 1e-5 * (index - 3.5)) * math.log2(BUDGETS[labels])

    targets = differences(effect, budgets=BUDGETS)
    generator = np.random.default_rng(0)
    of_run = {run: float(generator.normal(0, 0.01)) for run in range(4)}
    widened = [
        target_difference(
            **{name: value for name, value in vars(d).items() if name not in ("judgement", "run_values")},
            run_values={run: d.value + of_run[run] * math.log2(BUDGETS[d.labels]) for run in of_run},
        )
        for d in targets
    ]
    (line,) = lines(widened, "small-targets")
    runs = 0.02 + np.array(list(of_run.values()))
    scoped = line.parts[0].within("pretraining")
    expected = stats.t.interval(0.95, 3, loc=0.02, scale=stats.sem(runs))
    assert line.scope == "pretraining" and (scoped.low, scoped.high) == pytest.approx(expected, rel=1e-3)


def test_only_self_supervised_against_supervised_counts_at_the_largest_budget() -> None:
    others = differences(around(0.5), first_objective="supervised")
    fewer = differences(around(-0.1), budgets=("10%", "5-shot"))
    (line,) = lines(others + fewer + differences(around(0.1)), "accuracy")
    assert (line.labels, line.verdict) == ("100%", SUPPORTED)
    (none,) = lines(others, "accuracy")
    assert (none.verdict, none.reason) == (NOT_TESTABLE, "needs backbones with supervised twins")


def test_claims_are_one_family_of_distinct_tests() -> None:
    targets = [d for protocol in ("linear", "finetune") for d in differences(around(0.008), protocol=protocol)]
    targets += differences(around(-0.1), "brier_score") + differences(around(-0.1), "negative_log_likelihood")
    found = lines(targets, "accuracy", "confidence", "calibration-older", "few-shot-weaker")
    p_values = {line.question: line.p_value for line in found if not line.reason}
    assert len(found) == 5 and len(p_values) == 3  # both claims on calibration are one test
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    assert all(line.adjusted_p_value == pytest.approx(adjusted[line.question]) for line in found if not line.reason)
    untested = found[-1]
    assert untested.verdict == NOT_TESTABLE and math.isnan(untested.adjusted_p_value)
    assert untested.reason == "needs accuracy of every backbone on its source, which is not measured"


def test_every_claim_of_a_whole_study_has_a_verdict(large_results: StudyResults) -> None:
    found = with_claims(large_results, stated_claims(["all"], "claims")).claims
    by_claim: dict[str, set[str]] = {}
    for line in found:
        by_claim.setdefault(line.claim.id, set()).add(line.verdict)
    assert by_claim["invariance"] == {SUPPORTED}  # 0.85 and 0.8 against 0.75
    assert CONTRADICTED in by_claim["accuracy"] and SUPPORTED not in by_claim["accuracy"]
    assert SUPPORTED in by_claim["accuracy-different"] and CONTRADICTED not in by_claim["accuracy-different"]
    for missing in ("underconfident-recent", "last-layers-diverge", "small-targets", "in-domain-predicts"):
        assert by_claim[missing] == {NOT_TESTABLE}
    assert {line.reason for line in found if line.claim.id == "in-domain-predicts"} == {"3 backbones; 8 are needed"}
    assert all("pretraining" in line.untested for line in found if line.scope == "training")


def parts(estimates: np.ndarray, freedom: int) -> list[ClaimPart]:
    """Parts of one claim from Student t estimates."""
    p_values = 2 * stats.t.sf(abs(estimates), freedom)
    scoped = (ScopedInterval("training", -1.0, 1.0, float(p), NAN) for p in p_values)
    return [
        ClaimPart("accuracy", "higher", "", (), float(value), (each,))
        for value, each in zip(estimates, scoped, strict=True)
    ]


@pytest.mark.parametrize("true", [(0.0,), (0.0, 0.0), (3.0, 0.0), (-3.0, 0.0), (0.0, 0.0, 0.0, 0.0)])
def test_wrong_decisions_are_as_rare_as_stated(true: tuple[float, ...]) -> None:
    """Support is wrong unless all are positive, contradiction unless one is negative; 3,000 repetitions."""
    generator, wrong, repetitions = np.random.default_rng(0), 0, 3000
    for _ in range(repetitions):
        error = np.sqrt(generator.chisquare(5) / 5)
        p_value, favours = decided(parts((np.array(true) + generator.normal(size=len(true))) / error, 5), "training")
        holds, fails = min(true) > 0, min(true) < 0
        wrong += p_value < 0.05 and ((favours and not holds) or (not favours and not fails))
    assert wrong / repetitions < 0.062


def test_a_reversed_expectation_reverses_the_decision() -> None:
    (part,) = parts(np.array([4.0]), 5)
    lower = ClaimPart(part.metric, "lower", "", (), part.value, part.scopes)
    assert decided([part], "training") == (part.within("training").p_value, True)
    assert decided([lower], "training") == (part.within("training").p_value, False)
