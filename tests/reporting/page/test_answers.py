"""The answer says what stored estimates allow, for each measurement and group, and no more."""

import re

import pytest

from hf_sslgen.reporting.page.answers import Answer, answer
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


def text_of(found: Answer) -> str:
    parts = [s for part in found.parts for statement in part.statements for s in (statement.text, *statement.listed)]
    return "\n".join([found.short, *parts, *found.notes])


def test_groups_stand_apart_with_student_t_and_interaction() -> None:
    found = answer(results_of(*targets([-0.08, -0.07, -0.09], "similar"), *targets([0.03, 0.05, 0.04], "different")))
    assert found.short == (
        "Over domains similar to the source, the self-supervised backbone is less accurate than its supervised twin "
        "(1 comparison, for these backbones trained again). Over domains significantly different from the source, "
        "the self-supervised backbone is more accurate than its supervised twin (1 comparison, for these backbones "
        "trained again)."
    )
    similar, different, between = (statement.text for statement in found.parts[0].statements)
    assert similar.endswith("lower (linear probe, over 3 domains: −8.0 points, 95% interval −10.5 to −5.5).")
    assert different.endswith("higher (linear probe, over 3 domains: 4.0 points, 95% interval 1.5 to 6.5).")
    assert "higher on different domains than on similar ones (linear probe: 12.0 points" in between


def test_two_domains_of_a_kind_are_too_few_and_said_so() -> None:
    found = text_of(answer(results_of(*targets([-0.08, 0.05], "similar"))))
    assert "Fewer than 3 domains of a kind say nothing" in found
    assert "similar-0, linear probe: −8.0 points" in found and "similar-1, linear probe: 5.0 points" in found
    assert "Different versus similar domains" not in found and "is not tested" in found
    assert "over 2 domains" not in found


def test_an_interval_over_domains_that_includes_zero_is_undecided_though_each_domain_is_decided() -> None:
    found = answer(results_of(*targets([-0.08, 0.07, -0.03], "similar")))
    assert (
        found.short
        == "Over domains similar to the source, it is undecided which backbone is more accurate (1 comparison, "
        "for these backbones trained again)."
    )
    assert ": undecided (" in found.parts[0].statements[0].text


def test_a_comparison_left_undecided_by_adjustment_says_so() -> None:
    several = [*targets([0.021], "similar"), *targets([0.021], "similar", protocol="finetune")]
    found = text_of(answer(results_of(*several, *targets([0.0], "similar", protocol="few-shot"))))
    assert "95% interval 0.1 to 4.1, p = 0.12 after adjustment for all headline verdicts, and this design" in found


def test_many_comparisons_are_counted_and_listed() -> None:
    several = [
        target
        for protocol, shift in (("linear", -0.1), ("finetune", 0.0), ("few-shot", 0.1))
        for target in targets([shift - 0.01, shift, shift + 0.012], "similar", protocol=protocol)
    ]
    statement = answer(results_of(*several)).parts[0].statements[0]
    assert statement.text.endswith("higher in 1 of 3 comparisons; lower in 1; undecided in 1.")
    assert len(statement.listed) == 3
    assert statement.listed[0].startswith("Higher: few-shot prototypes, over 3 domains: 10.1 points, 95% interval ")


def test_controls_and_other_measurements(results, study) -> None:
    found = answer(results)
    assert [part.title for part in found.parts] == [
        "Accuracy",
        "Prediction confidence",
        "Attribution concentration",
        "Attribution on the object",
        "Invariance of the encoder as published",
    ]
    assert "untrained" not in text_of(found)
    assert not re.search(r"better|worse|improve|outperform", text_of(found))


def test_lift_answers_who_looks_more_at_the_object() -> None:
    lift = {"metric": "lift", "transform": ""}
    looked = (*targets([0.3, 0.31, 0.29], "similar", **lift), *targets([-0.3, 0.31, 0.0], "different", **lift))
    accuracy = targets([0.1, 0.1, 0.1], "similar")
    part = next(p for p in answer(results_of(*accuracy, *looked)).parts if p.title == "Attribution on the object")
    similar, different = (statement.text for statement in part.statements[:2])
    assert "trained again: higher, so it looks more at the object (linear probe, over 3 domains: 0.30" in similar
    assert "again: undecided (" in different and "looks" not in different


def test_the_accuracy_a_domain_is_judged_by_answers() -> None:
    judged = changed(ACCURACY, metric="mean_per_class_accuracy", value=0.04, low=0.02, high=0.06)
    found = answer(results_of(ACCURACY, judged, headline={"cifar10": "mean_per_class_accuracy"}))
    assert "more accurate" in found.short
    # episodes have plain accuracy only, which then stands for it
    assert "less accurate" in answer(results_of(ACCURACY, headline={"cifar10": "mean_per_class_accuracy"})).short


def test_nothing_to_compare_is_said_so(study) -> None:
    supervised = [cell for cell in study.cells if cell.objective != "simclr"]
    assert answer(infer(supervised)).short.startswith("This report compares no self-supervised backbone")


@pytest.mark.parametrize("group", ["unstated", "medical"])
def test_other_groups_have_their_own_sentences(group: str) -> None:
    found = answer(results_of(*targets([-0.08, -0.07, -0.09], group)))
    assert ("not stated" if group == "unstated" else "medical") in found.short
