"""Verdicts in sentences: what they say of luck, of controls and twins, and that a person could say them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from fake_study import DOMAINS, SELF_SUPERVISED, SUPERVISED, Study
from simulated_cells import equal_backbones, simulated_cell

from hf_sslgen.analysis.forward_cost_values import ForwardCost
from hf_sslgen.reporting.scorecard import scorecard
from hf_sslgen.reporting.scorecard_values import Mark
from hf_sslgen.reporting.verdict import Verdict, verdict
from hf_sslgen.reporting.verdict_remarks import RemarkKind
from hf_sslgen.study.backbone_costs import BackboneCost
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.study_results import StudyResults, infer

MOST_WORDS = 25
CLAIMS = ("more than luck", "could be luck", "could still be luck", "luck is unknown")

SIMCLR, BARLOW, TWIN, CONTROL = (
    "resnet50-simclr",
    "resnet50-barlow-twins",
    "resnet50-supervised",
    "untrained:resnet50",
)
OBJECTIVES = {SIMCLR: "simclr", BARLOW: "barlow-twins", TWIN: "supervised", CONTROL: "untrained"}


def images_right(share: float, images: int = 400, shuffled_by: int = 0) -> np.ndarray:
    """Whether each image is classified correctly: the same share of every class, on other images for another seed."""
    order = np.random.default_rng(shuffled_by).permutation(images // 4)
    return np.tile(order < share * images / 4, (4, 1)).T.ravel()


def measured(shares: Mapping[str, float], domain: str = "digits", images: int = 400, **said: object) -> list[Cell]:
    """A linear probe of each backbone, right on unrelated images."""
    return [
        simulated_cell(
            images_right(share, images, index),
            name,
            domain,
            **{"objective": OBJECTIVES[name], "source": "photos", **said},
        )
        for index, (name, share) in enumerate(shares.items())
    ]


def verdict_on(cells: Sequence[Cell]) -> Verdict:
    return verdict(infer(cells))


def texts_of(found: Verdict) -> list[str]:
    return [found.sentence, *(remark.text for remark in found.further)]


def remark(found: Verdict, kind: RemarkKind) -> str:
    return " ".join(each.text for each in found.further if each.kind is kind)


def test_a_lead_within_noise_is_said_to_be_one() -> None:
    found = verdict_on(measured({TWIN: 0.87, SIMCLR: 0.9}))
    assert found.sentence == (
        "No clear winner on digits. The most accurate is SimCLR: 90.0% against 87.0% for the supervised twin; "
        "the lead of 3.0 points could be luck (−1.1 to 7.1)."
    )
    assert (found.leader, found.is_decided) == (SIMCLR, False)
    assert "times the test images would probably settle it" in remark(found, RemarkKind.SETTLE)
    assert remark(found, RemarkKind.TWIN) == ""  # the sentence is about the twin already


def test_a_lead_beyond_noise_is_claimed_with_its_scope() -> None:
    found = verdict_on(measured({TWIN: 0.7, SIMCLR: 0.9, CONTROL: 0.4}))
    assert found.sentence.startswith(
        "SimCLR leads on digits: 90.0% against 70.0% for the supervised twin; the lead of"
    )
    assert "20.0 points is more than luck (14." in found.sentence and found.is_decided
    assert "these weights" in remark(found, RemarkKind.UNCERTAIN)
    assert "3 seeds" in remark(found, RemarkKind.SETTLE)


def test_the_two_best_are_compared_with_each_other_and_the_best_with_its_twin() -> None:
    found = verdict_on(measured({TWIN: 0.7, SIMCLR: 0.88, BARLOW: 0.9, CONTROL: 0.3}))
    assert "The most accurate is Barlow Twins: 90.0% against 88.0% for SimCLR" in found.sentence
    assert "could be luck" in found.sentence
    assert remark(found, RemarkKind.TWIN).startswith(
        "Barlow Twins is 20.0 points more accurate than the supervised twin"
    )
    without = verdict_on(measured({SIMCLR: 0.88, BARLOW: 0.9}))
    assert without.sentence == (
        "Barlow Twins (90.0%, 86.6 to 92.8) and SimCLR (88.0%, 84.4 to 91.0) can't be told apart on digits. "
        "The difference of 2.0 points could be luck (−1.9 to 6.0)."
    )
    assert not any("supervis" in text for text in texts_of(without))
    assert "No untrained control was measured" in remark(without, RemarkKind.WEAKNESS)


def test_a_leader_that_does_not_beat_the_control_is_no_leader() -> None:
    found = verdict_on(measured({TWIN: 0.6, SIMCLR: 0.65, CONTROL: 0.62}))
    assert found.sentence.startswith("No backbone clearly beats the untrained control on digits: SimCLR gets 65.0%")
    assert "against 62.0%, which could be luck" in found.sentence and "leads" not in found.sentence
    assert not found.is_decided
    behind = verdict_on(measured({TWIN: 0.5, CONTROL: 0.62}))
    assert behind.sentence == "resnet50-supervised does not beat the untrained control on digits: 50.0% against 62.0%."


def test_one_behind_the_control_is_named_as_a_weakness() -> None:
    found = verdict_on(measured({TWIN: 0.4, SIMCLR: 0.9, CONTROL: 0.4}))
    assert remark(found, RemarkKind.WEAKNESS) == (
        "The supervised twin does not clearly beat the untrained control on digits."
    )


def test_the_only_one_above_the_control_is_named() -> None:
    found = verdict_on(measured({TWIN: 0.4, BARLOW: 0.41, SIMCLR: 0.9, CONTROL: 0.4}))
    assert remark(found, RemarkKind.WEAKNESS) == "Only SimCLR clearly beats the untrained control on digits."


def test_backbones_that_hardly_differ_are_level() -> None:
    found = verdict_on(measured({TWIN: 0.9, SIMCLR: 0.9025}, images=16_000))
    assert found.sentence.startswith("SimCLR and the supervised twin are level on digits: 90.2% against 90.0%")
    assert "the difference is probably at most 0." in found.sentence and not found.is_decided
    assert "No clear winner" in verdict_on(measured({TWIN: 0.87, SIMCLR: 0.9})).sentence


def test_numbers_of_a_lead_add_up() -> None:
    found = verdict_on(measured({TWIN: 0.8125, SIMCLR: 0.8475}, images=1600))
    ((value, other, lead),) = re.findall(r"([\d.]+)% against ([\d.]+)%.* lead of ([\d.]+)", found.sentence)
    assert round(float(value) - float(other), 1) == float(lead)


def test_equal_accuracies_are_a_tie() -> None:
    found = verdict_on(measured({TWIN: 0.8, SIMCLR: 0.8}))
    assert found.sentence.startswith("The supervised twin and SimCLR tie on digits at 80.0% (difference −")
    assert "over 20 times the test images" in remark(found, RemarkKind.SETTLE)


def test_without_an_interval_nothing_is_said_of_luck_and_the_reason_is_given() -> None:
    shares = {TWIN: 0.5, SIMCLR: 1.0, BARLOW: 0.5, CONTROL: 0.4}
    cells = measured(shares, images=24, domain_metric="mean_per_class_accuracy")
    cells = [
        replace(cell, numbers=tuple(replace(n, metric="mean_per_class_accuracy") for n in cell.numbers))
        for cell in cells
    ]
    found = verdict_on(cells)
    assert "whether that is luck is unknown" in found.sentence
    assert "a class has only 6 images" in remark(found, RemarkKind.UNCERTAIN)
    # Nothing is clear without an interval, though one backbone alone is above the control.
    assert (
        remark(found, RemarkKind.WEAKNESS) == "2 of 3 backbones do not clearly beat the untrained control on digits."
    )
    marks = {row.name: row.marks for row in scorecard(infer(cells)).panels[0].rows}
    untold = (Mark.UNTOLD,)
    no_higher = (*untold, Mark.NOT_ABOVE_CONTROL)
    assert marks == {SIMCLR: untold, BARLOW: no_higher, TWIN: no_higher, CONTROL: ()}
    assert found.further[0].text.startswith("The verdict compares mean per-class accuracy (linear probe)")


def test_one_backbone_alone_is_compared_with_nothing_or_its_control() -> None:
    (alone,) = measured({SIMCLR: 0.9})
    assert verdict_on([alone]).sentence.startswith("resnet50-simclr gets 90.0% on digits (86.6% to 92.8%)")
    assert verdict_on([alone]).sentence.endswith("it was not compared with anything.")
    found = verdict_on(measured({SIMCLR: 0.9, CONTROL: 0.5}))
    assert found.sentence.startswith(
        "resnet50-simclr gets 90.0% on digits, the untrained control 50.0%; the lead of 40.0 points is"
    )
    (control,) = measured({CONTROL: 0.5})
    assert verdict_on([control]).sentence.startswith("The untrained control gets 50.0% on digits")
    encoder = replace(alone, identity=alone.identity | {"protocol": "pretrained"}, numbers=())
    assert verdict_on([encoder]).sentence.startswith("No accuracy was measured")
    assert verdict(StudyResults((), (), (), (), ())).sentence == "Nothing has been measured yet."


def test_few_domains_are_told_one_by_one_and_more_on_average() -> None:
    shares = {TWIN: 0.7, SIMCLR: 0.9, CONTROL: 0.3}
    two = measured(shares, "digits") + measured({TWIN: 0.9, SIMCLR: 0.7, CONTROL: 0.3}, "letters")
    found = verdict_on(two)
    assert found.sentence == "SimCLR leads on digits, the supervised twin on letters; both leads are more than luck."
    assert found.leader is None
    same = verdict_on(measured(shares, "digits") + measured(shares, "letters"))
    assert same.sentence == "SimCLR leads on both domains; both leads are more than luck."
    domains = ["digits", "letters", "signs", "maps"]
    gaps = dict(zip(domains, (0.7, 0.74, 0.66, 0.72), strict=True))
    many = [cell for domain in domains for cell in measured(shares | {TWIN: gaps[domain]}, domain)]
    found = verdict_on(many)
    assert found.sentence.startswith("Over 4 domains, SimCLR leads: 90.0% against 70.5% for the supervised twin;")
    assert "is more than luck" in found.sentence
    low = {TWIN: 0.29, SIMCLR: 0.2, CONTROL: 0.3}
    found = verdict_on([*many, *measured(low, "noise")])
    weakness = "On noise, no backbone scores above the untrained control (30.0%); one is 10.0 points below."
    assert remark(found, RemarkKind.WEAKNESS) == weakness
    assert "there is no clear winner. The most accurate is SimCLR" in found.sentence
    found = verdict_on(many)
    assert remark(found, RemarkKind.TWIN).startswith("On 4 domains unlike the source, SimCLR is 19.5 points more")
    assert "pretrained again" in remark(found, RemarkKind.UNCERTAIN)


def test_other_settings_are_told_apart() -> None:
    cells = measured({TWIN: 0.7, SIMCLR: 0.9}) + measured({TWIN: 0.95, SIMCLR: 0.7}, protocol="finetune")
    found = verdict_on(cells)
    assert found.sentence.startswith("SimCLR leads on digits")
    assert "Fine-tuning: the supervised twin leads with 95.0%, which is more than luck." in texts_of(found)


def test_both_judgements_of_a_pair_must_agree_to_a_lead() -> None:
    results = infer(measured({TWIN: 0.7, SIMCLR: 0.9}))
    doubted = tuple(
        replace(d, judgement=replace(d.judgement, is_headline=True, adjusted_p_value=0.2)) for d in results.targets
    )
    assert verdict(results).is_decided
    found = verdict(replace(results, targets=doubted))
    assert not found.is_decided and "the lead of 20.0 points could still be luck (14." in found.sentence


def test_no_verdict_on_equal_backbones_leads_without_a_word_on_luck() -> None:
    undecided = 0
    for seed in range(12):
        found = verdict_on(
            equal_backbones(np.random.default_rng(seed), 4, 200, domains=1 + seed % 4, seeds=1 + seed % 3)
        )
        assert any(claim in found.sentence for claim in CLAIMS) or " tie " in found.sentence
        assert all(len(part.split()) <= MOST_WORDS for text in texts_of(found) for part in text.split(". "))
        undecided += not found.is_decided
    assert undecided >= 10


@pytest.mark.parametrize("names", [(), ("a\x1b[31m" + "x" * 300, "a\x1b[31m" + "y" * 300, "untrained\u202e")])
def test_every_sentence_is_short_and_printable(make_study: Callable[..., Study], tmp_path, names) -> None:
    domains = [*DOMAINS, ("similar-domain-0", "similar"), ("z" * 120, "different"), ("new\nline", "unstated")]
    cells = make_study(tmp_path, names=names, domains=domains).cells
    for count in range(1, len(domains) + 1):
        chosen = {domain for domain, _ in domains[:count]}
        for text in texts_of(verdict_on([cell for cell in cells if cell.domain in chosen])):
            assert len(text.split()) <= MOST_WORDS and text.isprintable() and len(text) < 220
            assert text.endswith(".") and (text[0].isupper() or text.startswith("a?"))


def test_the_sentence_is_about_the_numbers_of_the_study(results: StudyResults) -> None:
    on_one = infer([cell for cell in results.cells if cell.domain == "photo-patches"])
    values = {cell.backbone: cell.number("accuracy").value for cell in on_one.cells if cell.protocol == "linear"}
    found = verdict(on_one)
    assert f"{100 * values[SUPERVISED.name]:.1f}% against {100 * values[SELF_SUPERVISED.name]:.1f}%" in found.sentence


VIT = {"network": {"library": "timm", "architecture": "vit_tiny_patch16_224", "trunk": "1"}}
NAMES = ("anna", "bert", "carl", "dora", "emil")
RESNET = {"network": {"library": "timm", "architecture": "resnet18", "trunk": "2"}}


def of(name: str, share: float, index: int, domain: str = "digits", **said: object) -> Cell:
    return simulated_cell(images_right(share, 400, index), name, domain, **{"source": "photos", **said})


def test_a_lead_over_a_backbone_of_another_architecture_is_no_verdict_on_objectives() -> None:
    cells = [of("a-resnet", 0.9, 0, objective="simclr", **RESNET), of("b-vit", 0.7, 1, objective="supervised", **VIT)]
    found = verdict_on(cells)
    assert found.sentence.startswith(
        "a-resnet leads on digits: 90.0% (86.6 to 92.8) against 70.0% for b-vit, which also differs in architecture "
        "(resnet18 against vit_tiny_patch16_224). The lead of 20.0 points is more than luck ("
    )
    assert remark(found, RemarkKind.CONFOUND) == (
        "These backbones differ in architecture (resnet18, vit_tiny_patch16_224). "
        "So this shows which serves these images, not why."
    )
    assert not any("twin" in text for text in texts_of(found))
    unstated = verdict_on([replace(each, provenance=each.provenance | RESNET | {"source": ""}) for each in cells])
    assert "b-vit, which may also differ in source data (not stated)." in unstated.sentence
    assert remark(unstated, RemarkKind.CONFOUND).startswith("The source data of all are not stated.")


def test_beside_twins_a_backbone_that_is_none_is_named_as_such() -> None:
    cells = [
        of("simclr", 0.7, 0, objective="simclr", **RESNET),
        of("supervised", 0.6, 1, objective="supervised", **RESNET),
        of("vit", 0.9, 2, objective="supervised", **VIT),
    ]
    found = verdict_on(cells)
    assert "vit leads on digits: 90.0% against 70.0% for SimCLR, which also differs in architecture" in found.sentence
    assert remark(found, RemarkKind.TWIN).startswith("SimCLR is 10.0 points more accurate than the supervised twin")


@pytest.mark.parametrize("objective", ["supervised", "unknown", "simclr"])
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("is_led", [True, False])
def test_backbones_of_one_kind_are_ranked_without_a_word_on_objectives(
    objective: str, count: int, is_led: bool
) -> None:
    shares = [0.9 if is_led else 0.72, *(0.7 - 0.005 * index for index in range(count - 1))]
    cells = [of(NAMES[i], share, i, objective=objective, **RESNET) for i, share in enumerate(shares)]
    found = verdict_on(cells)
    assert found.sentence.startswith("anna leads on digits: 90.0% (86") == is_led == found.is_decided
    assert is_led or "can't be told apart on digits" in found.sentence
    named = [name in found.sentence for name in NAMES[:count]]
    assert sum(named) == (2 if is_led else (count if count < 4 else 1))
    assert remark(found, RemarkKind.CONFOUND) == "" and remark(found, RemarkKind.TWIN) == ""
    assert not any("twin" in text or "self-supervis" in text for text in texts_of(found))


def test_the_best_are_told_from_those_behind() -> None:
    shares = (0.9, 0.89, 0.885, 0.88, 0.5)
    cells = [of(NAMES[i], share, i, objective="dino", **RESNET) for i, share in enumerate(shares)]
    found = verdict_on(cells)
    assert found.sentence.startswith(
        "4 of 5 backbones can't be told apart from the most accurate on digits. That is anna with 90.0% (86.6 to "
    )


def test_twins_of_other_recipes_are_told_apart_and_stay_twins() -> None:
    cells = [
        of("simclr", 0.9, 0, objective="simclr", pretraining_epochs=800, **RESNET),
        of("supervised", 0.7, 1, objective="supervised", pretraining_epochs=90, **RESNET),
    ]
    found = verdict_on(cells)
    assert remark(found, RemarkKind.CONFOUND) == ("Besides the objective, these backbones differ in epochs (800, 90).")
    assert "for the supervised twin" in found.sentence


def test_a_control_of_another_architecture_is_said_to_be_one() -> None:
    cells = [
        of("anna", 0.9, 0, objective="dino", **RESNET),
        of("bert", 0.8, 1, objective="dino", **VIT),
        of("untrained:anna", 0.3, 2, objective="untrained", **RESNET),
    ]
    assert remark(verdict_on(cells), RemarkKind.CONFOUND).endswith(
        "No untrained control has the architecture of 1 of 2."
    )
    both = [*cells, of("untrained:bert", 0.3, 3, objective="untrained", **VIT)]
    assert "control" not in remark(verdict_on(both), RemarkKind.CONFOUND)


def test_a_much_faster_backbone_is_named_with_what_it_loses() -> None:
    forward = ForwardCost(100.0, 90.0, 110.0, 9, 8, 2, 0.5, 4e9, 1_000_000, 64, "tensors counted")
    cost = BackboneCost("", 64, "cpu", 0, "2026-01-01T00:00:00Z", forward)

    def costing(name: str, share: float, index: int, rate: float) -> tuple[Cell, BackboneCost]:
        cell = of(name, share, index, objective="dino", **RESNET)
        pixels = {"geometry": {"image_size": 64}}
        cell = replace(cell, identity=cell.identity | {"weights": name, "preprocessing": pixels})
        return cell, replace(cost, weights=name, forward=replace(forward, images_per_second=rate))

    measured = [costing("anna", 0.9, 0, 100.0), costing("bert", 0.8, 1, 150.0), costing("carl", 0.7, 2, 450.0)]
    found = verdict(infer([cell for cell, _ in measured], costs=[cost for _, cost in measured]))
    assert remark(found, RemarkKind.COST) == "carl is 4.5 times as fast here as anna and 20.0 points less accurate."
    assert remark(verdict_on([cell for cell, _ in measured]), RemarkKind.COST) == ""
