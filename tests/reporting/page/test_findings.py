"""Findings say what stored estimates allow, for each measurement and group, and no more."""

import re

import pytest

from hf_sslgen.metrics.catalogue.metric import Part
from hf_sslgen.reporting.page.finding_notes import finding_notes
from hf_sslgen.reporting.page.findings import Finding, findings
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults, infer, infer_over
from tests.support.target_differences import changed, target_difference

ACCURACY = target_difference(
    value=-0.08, low=-0.10, high=-0.06, first_objective="simclr", second_objective="supervised"
)


def results_of(*targets: TargetDifference, headline: dict[str, str] | None = None) -> StudyResults:
    return infer_over((), (), targets, headline or {})


def targets(values: list[float], group: str, **changes: object) -> list[TargetDifference]:
    return [
        changed(ACCURACY, domain=f"{group}-{i}", group=group, value=v, low=v - 0.02, high=v + 0.02, **changes)
        for i, v in enumerate(values)
    ]


def on(results: StudyResults, part: Part = Part.ACCURACY) -> list[Finding]:
    return findings(results, [part], {})


def text_of(found: list[Finding]) -> str:
    return "\n".join(text for each in found for text in (each.text, *each.listed))


def test_groups_stand_apart_with_student_t_and_interaction() -> None:
    results = results_of(*targets([-0.08, -0.07, -0.09], "similar"), *targets([0.03, 0.05, 0.04], "different"))
    similar, different, between = on(results)
    assert (
        similar.text
        == "Over similar domains, the self-supervised backbone has lower accuracy than its supervised twin."
    )
    assert similar.listed == [
        "For these backbones trained again.",
        "Lower: linear probe, over 3 domains: −8.0 points (−10.5 to −5.5).",
    ]
    assert "has higher accuracy" in different.text
    assert different.listed[1] == "Higher: linear probe, over 3 domains: +4.0 points (+1.5 to +6.5)."
    assert between.text == "The difference in accuracy is larger on different domains than on similar ones."
    assert "+12.0 points" in between.listed[1]


def test_two_domains_of_a_kind_are_too_few_and_said_so() -> None:
    results = results_of(*targets([-0.08, 0.05], "similar"))
    found = text_of(on(results))
    assert "On similar domains" in found and "over 2 domains" not in found
    assert "similar-0, linear probe: −8.0 points" in found and "similar-1, linear probe: +5.0 points" in found
    notes = " ".join(finding_notes(results))
    assert "Fewer than 3 domains of a kind say nothing" in notes and "is not tested" in notes


def test_an_interval_over_domains_that_includes_zero_is_undecided_though_each_domain_is_decided() -> None:
    (found,) = on(results_of(*targets([-0.08, 0.07, -0.03], "similar")))
    assert found.text == "Over similar domains, it is undecided which has higher accuracy."


def test_a_comparison_left_undecided_by_adjustment_says_so() -> None:
    several = [*targets([0.021], "similar"), *targets([0.021], "similar", protocol="finetune")]
    found = text_of(on(results_of(*several, *targets([0.0], "similar", protocol="few-shot"))))
    assert "(+0.1 to +4.1); p = 0.12 after adjustment; detectable: " in found


def test_many_comparisons_are_counted_and_listed() -> None:
    several = [
        target
        for protocol, shift in (("linear", -0.1), ("finetune", 0.0), ("few-shot", 0.1))
        for target in targets([shift - 0.01, shift, shift + 0.012], "similar", protocol=protocol)
    ]
    (found,) = on(results_of(*several))
    first, second, third = found.text.split(". ")
    assert first.endswith("has higher accuracy than its supervised twin in 1 of 3 comparisons")
    assert second.endswith("has lower accuracy than its supervised twin in 1 of 3 comparisons")
    assert third == "Undecided in 1 of 3 comparisons."
    assert len(found.listed) == 4 and found.listed[1].startswith("Higher: few-shot prototypes, over 3 domains: +10.1")


def test_controls_and_other_measurements(results) -> None:
    found = findings(results, list(Part), {"resnet50-simclr": "SimCLR"})
    assert len(found) > 8 and "untrained" not in text_of(found)
    assert not re.search(r"better|worse|improve|outperform", text_of(found))


def test_lift_answers_who_looks_more_at_the_object() -> None:
    lift = {"metric": "lift", "transform": ""}
    looked = (*targets([0.3, 0.31, 0.29], "similar", **lift), *targets([-0.3, 0.31, 0.0], "different", **lift))
    similar, different, *_ = on(results_of(*targets([0.1, 0.1, 0.1], "similar"), *looked), Part.LOCALIZATION)
    assert similar.text.endswith("the self-supervised backbone looks more at the object than its supervised twin.")
    assert different.text.startswith("Over different domains, it is undecided whether")


def test_the_accuracy_a_domain_is_judged_by_answers() -> None:
    judged = changed(ACCURACY, metric="mean_per_class_accuracy", value=0.04, low=0.02, high=0.06)
    assert "higher" in on(results_of(ACCURACY, judged, headline={"cifar10": "mean_per_class_accuracy"}))[0].text
    # episodes have plain accuracy only, which then stands for it
    assert "lower" in on(results_of(ACCURACY, headline={"cifar10": "mean_per_class_accuracy"}))[0].text


def test_nothing_to_compare_has_no_findings(study) -> None:
    nothing = infer([cell for cell in study.cells if cell.objective != "simclr"])
    assert on(nothing) == [] and finding_notes(nothing) == []


@pytest.mark.parametrize(("group", "place"), [("unstated", "Over all domains"), ("medical", "Over medical domains")])
def test_other_groups_have_their_own_sentences(group: str, place: str) -> None:
    assert on(results_of(*targets([-0.08, -0.07, -0.09], group)))[0].text.startswith(place)
