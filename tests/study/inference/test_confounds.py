"""In what two backbones differ: said, never taken for equal where unknown, and kept out of claims on objectives."""

import math
from dataclasses import replace

import numpy as np
import pytest
from simulated_cells import simulated_cell

from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.confounds import Facet, confounds, same_architecture
from hf_sslgen.study.inference.contrasts import compare_all
from hf_sslgen.study.inference.known_backbones import KnownBackbone, known_backbones
from hf_sslgen.study.inference.study_results import StudyResults, infer
from hf_sslgen.study.published_claims import published_claims

RESNET = KnownBackbone(
    *("a", "simclr", "photos", 0, "timm", "resnet50", 23_508_032, "1" * 16, "2" * 16, 2048, 224),
    epochs=100,
    augmentation="crop-colour",
)
TWIN = replace(RESNET, name="b", objective="supervised")
VIT = replace(TWIN, architecture="vit_base_patch16_224", parameters=85_798_656, trunk="3" * 16, num_features=768)


def facets(first: KnownBackbone, second: KnownBackbone) -> tuple[list[Facet], list[Facet], list[Facet]]:
    found = confounds(first, second)
    return tuple([each.facet for each in part] for part in (found.confounding, found.further, found.not_known))


def test_twins_differ_in_nothing_that_is_known() -> None:
    assert facets(RESNET, TWIN) == ([], [], [Facet.BATCH_SIZE])
    assert confounds(RESNET, TWIN).columns == {
        "confounded_by": "",
        "also_differs_in": "",
        "not_known": "batch size of pretraining",
    }


def test_each_facet_is_named_with_both_values() -> None:
    found = confounds(RESNET, replace(VIT, source="", image_size=96, library="transformers", epochs=800))
    assert found.confounded_by == (
        "architecture (resnet50 against vit_base_patch16_224); source data (photos against not stated)"
    )
    assert found.columns["also_differs_in"] == (
        "epochs (100 against 800); classifier size (2048 features against 768 features); "
        "input resolution (224 px against 96 px); library (timm against transformers)"
    )
    seeds = confounds(RESNET, replace(TWIN, pretraining_seed=1, augmentation="multi-crop"))
    assert seeds.columns["also_differs_in"] == (
        "pretraining seed (0 against 1); augmentation of pretraining (crop-colour against multi-crop)"
    )


@pytest.mark.parametrize(("source", "is_confounded"), [("photos", False), ("paintings", True), ("", True)])
def test_a_source_confounds_unless_it_is_known_to_be_equal(source: str, is_confounded: bool) -> None:
    found, _, not_known = facets(RESNET, replace(TWIN, source=source))
    assert found == ([Facet.SOURCE] if is_confounded else []) and Facet.SOURCE not in not_known


def test_an_architecture_that_is_not_recorded_is_unknown_and_not_equal() -> None:
    earlier = replace(TWIN, architecture=None, trunk=None, layers=None, num_features=None)
    assert facets(RESNET, earlier) == ([], [], [Facet.ARCHITECTURE, Facet.BATCH_SIZE, Facet.FEATURES])
    assert facets(RESNET, replace(earlier, parameters=1))[0] == [Facet.ARCHITECTURE]


def test_exact_twins_of_one_set_are_one_architecture_whatever_their_names() -> None:
    deit, dino = (
        replace(each, architecture=name, twin_set="vit", exact_twin=True)
        for each, name in ((VIT, "deit_base_patch16_224"), (replace(VIT, trunk="4" * 16), "vit_base_patch16_224"))
    )
    assert same_architecture(deit, dino)
    near = replace(deit, exact_twin=False, reason="its blocks have LayerScale")
    assert not same_architecture(near, dino)
    assert "b: its blocks have LayerScale" in confounds(near, dino).columns["also_differs_in"]
    unverified = replace(deit, is_registered=True)
    assert "b: facts of the registry not verified" in confounds(unverified, dino).columns["also_differs_in"]


def test_shapes_decide_between_libraries_and_layers_within_one() -> None:
    blurred = replace(TWIN, architecture="resnetblur50", layers="5" * 16)
    assert not same_architecture(RESNET, blurred)
    assert same_architecture(RESNET, replace(blurred, library="transformers", architecture="resnet"))


def test_a_control_has_no_source_to_differ_in() -> None:
    control = replace(VIT, name="c", objective="untrained", source="", epochs=None, pretraining_seed=None)
    assert facets(RESNET, control)[0] == [Facet.ARCHITECTURE]
    assert Facet.EPOCHS not in facets(RESNET, control)[2]


def test_facts_are_read_from_cells_of_any_version_and_of_any_origin() -> None:
    right = np.ones(8)
    row = {"architecture": "resnet50", "library": "timm", "twin_set": None, "exact_twin": False, "verified": True}
    said = {"network": {"trunk": "1", "layers": "2", "num_features": 8}, "registered": row, "pretraining_epochs": 90}
    known = known_backbones([simulated_cell(right, "x", **said), simulated_cell(right, "x", "other", parameters=5)])
    assert (known["x"].trunk, known["x"].epochs, known["x"].parameters) == ("1", 90, 5)
    hostile = simulated_cell(right, "x", network={"trunk": ["1"], "num_features": True}, registered={"reason": 3})
    assert known_backbones([hostile])["x"] == KnownBackbone("x", "simclr", is_registered=True)
    (earlier,) = known_backbones([simulated_cell(right, "twin-resnet18-simclr")]).values()
    assert earlier.exact_twin and earlier.twin_set == "resnet18-tiny-imagenet-100"


def cells_of(backbones: dict[str, dict[str, object]], domains: int = 4) -> list[Cell]:
    """A linear probe of each backbone on some domains, right on a share of images that varies with the domain."""
    generator = np.random.default_rng(0)
    return [
        simulated_cell(
            generator.random(300) < share + 0.03 * index,
            name,
            f"{group}-{index}",
            **{"objective": "simclr", "source": "photos", **said, "group": group},
        )
        for group in ("similar", "different")
        for index in range(domains)
        for name, said, share in (
            (name, {key: value for key, value in said.items() if key != "share"}, said["share"])
            for name, said in backbones.items()
        )
    ]


TWINS = {
    "ssl": {"share": 0.8, "parameters": 10},
    "sup": {"share": 0.6, "parameters": 10, "objective": "supervised"},
}
OTHERS = {
    "large": {"share": 0.7, "parameters": 99, "objective": "supervised"},
    "elsewhere": {"share": 0.75, "parameters": 10, "objective": "dino", "source": "paintings"},
}


def numbers_of(results: StudyResults, first: str = "ssl", second: str = "sup") -> list[tuple[object, ...]]:
    return [
        (g.comparison.metric, g.group, g.value, g.judgement)
        for g in results.groups
        if (g.comparison.first, g.comparison.second) == (first, second)
    ] + [
        (i.comparison.metric, i.value, i.judgement)
        for i in results.interactions
        if (i.comparison.first, i.comparison.second) == (first, second)
    ]


def test_verdicts_on_twins_do_not_depend_on_what_else_is_compared() -> None:
    everything = cells_of(TWINS | OTHERS)
    alone = infer([cell for cell in everything if cell.backbone in TWINS])
    together = infer(everything)
    assert repr(numbers_of(alone)) == repr(numbers_of(together))  # NaN equals NaN there
    assert any(j.is_headline for *_, j in numbers_of(alone))
    others = [("ssl", "large"), ("elsewhere", "sup"), ("elsewhere", "large")]
    found = {(d.first, d.second): d for d in together.targets}
    assert found.keys() == {("ssl", "sup"), *others}
    assert found["ssl", "large"].confounded_by == "architecture (one of 10 parameters against one of 99 parameters)"
    assert found["elsewhere", "sup"].confounded_by == "source data (paintings against photos)"
    for pair in others:
        judgements = [j for *_, j in numbers_of(together, *pair)]
        assert judgements and not any(j.is_headline for j in judgements)
        assert all(not math.isnan(j.q_value) for j in judgements)
    stated = infer(everything, pairs=[("ssl", "large")])
    assert {(d.first, d.second) for d in stated.targets} == {("ssl", "large")}
    assert stated.targets[0].confounded_by and any(j.is_headline for *_, j in numbers_of(stated, "ssl", "large"))


def test_claims_of_the_literature_are_not_tested_on_what_differs_in_more() -> None:
    claims = [claim for claim in published_claims().values() if claim.test in ("difference", "interaction", "slope")]
    lines = [
        line
        for line in infer(cells_of(TWINS | OTHERS), claims=claims).claims
        if {"accuracy", "headline_accuracy"} & set(line.claim.numbers)
    ]
    confounded = [line for line in lines if (line.first, line.second) != ("ssl", "sup")]
    assert confounded and all(line.reason.startswith("the two also differ in ") for line in confounded)
    assert all(math.isnan(line.p_value) for line in confounded)
    twins = [line for line in lines if (line.first, line.second) == ("ssl", "sup")]
    assert twins and not any("also differ" in line.reason for line in twins)


def test_confounded_pairs_are_never_averaged_as_objectives() -> None:
    def runs(parameters: int) -> dict[str, dict[str, object]]:
        return {
            f"{objective}-{seed}": {
                "share": share,
                "parameters": parameters if objective == "supervised" else 10,
                "objective": objective,
                "pretraining_seed": seed,
            }
            for objective, share in (("simclr", 0.8), ("supervised", 0.7))
            for seed in (0, 1)
        }

    twins = infer(cells_of(runs(10), domains=1)).targets
    assert {(d.first, d.second) for d in twins} == {("simclr", "supervised")}
    apart = infer(cells_of(runs(99), domains=1)).targets
    assert {(d.first, d.second) for d in apart} == {("simclr-0", "supervised-0"), ("simclr-1", "supervised-1")}


def test_methods_are_compared_within_one_architecture_and_a_stated_source() -> None:
    several = {
        f"{objective}-{size}": {"share": 0.7, "parameters": size, "objective": objective}
        for objective in ("simclr", "supervised")
        for size in (10, 99)
    }
    over = next(r for r in infer(cells_of(several, domains=2)).rankings if r.is_over_domains)
    assert [(m.first, m.second) for m in over.methods] == [
        (("simclr-10",), ("supervised-10",)),
        (("simclr-99",), ("supervised-99",)),
    ]
    unstated = {name: said | {"source": ""} for name, said in TWINS.items()}
    over = next(r for r in infer(cells_of(unstated, domains=2)).rankings if r.is_over_domains)
    assert over.methods == ()


def test_without_a_source_two_backbones_are_compared_and_it_is_said() -> None:
    differences = compare_all(cells_of({name: said | {"source": ""} for name, said in TWINS.items()}, domains=1))
    assert {d.confounded_by for d in differences} == {"source data (not stated)"}
