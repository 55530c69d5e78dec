"""A study's file is checked before anything is loaded: what is wrong is named, with what would work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.study.backbones import named_entries, shared_set
from hf_sslgen.study.config import parse_study, read_study
from hf_sslgen.study.plan import expand

TWINS = "resnet18-tiny-imagenet-100"
TWIN = "twin-resnet18-supervised"
GRID = {name: [*range(1, 10_001)] for name in ("tolerance", "max_iterations")}
LARGE = {name: [*range(1, 1001)] for name in ("learning_rates", "weight_decays")}


def refused(content: dict[str, Any]) -> str:
    with pytest.raises(InputError) as error:
        expand(parse_study(content, "study 'mine.yaml'"))
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": []}, "unknown key 'backbone'; did you mean 'backbones'?"),
        ({"reference": ["sfda-finetuned"]}, "reference: there is no table 'sfda-finetuned'; did you mean"),
        ({"reference": "sfda-finetune"}, "reference must be a list with at least one entry"),
        ({"backbones": []}, "backbones must be a list with at least one entry, found []"),
        ({"backbones": "resnet"}, "backbones must be a list with at least one entry, found 'resnet'"),
        ({"backbones": [3]}, "an entry must be a name or a mapping, found 3"),
        ({"backbones": [{"twin_set": "resnet18-tiny-imagenet"}]}, f"'{TWINS}'"),
        ({"backbones": [{"twin_set": TWINS, "name": "a"}]}, "can have no other key"),
        ({"backbones": [{"location": 5}]}, "location is 5; it must be text"),
        ({"backbones": [{"name": "a"}]}, "the field 'location' is missing"),
        ({"backbones": [{"location": "a/b", "objectiv": "x"}]}, "did you mean 'objective'?"),
        ({"backbones": [TWIN, TWIN]}, f"'{TWIN}' appears twice"),
        ({"domains": []}, "domains must be a list"),
        ({"domains": ["digits", "digits"]}, "appears twice"),
        ({"domains": [{"dataset_name": "digits", "split_seed": 1}]}, "split_seed is set once for all domains"),
        ({"domains": [{"dataset_name": "digits", "max_test_sample": 6}]}, "did you mean 'max_test_samples'"),
        ({"domains": [{"dataset_name": "digits", "max_test_samples": "sixty"}]}, "it must be a whole number"),
        ({"protocols": []}, "protocols must be a list with at least one entry, found []"),
        ({"protocols": ["linera"]}, "did you mean 'linear'?"),
        ({"protocols": [{"name": "x"}]}, "an entry needs `preset`"),
        ({"protocols": [{"preset": "linear", "toleranc": 1}]}, "did you mean 'tolerance'?"),
        ({"protocols": [{"preset": "linear", "tolerance": "a"}]}, "it must be a number"),
        ({"protocols": [{"preset": "linear", "grid": {"tolerance": []}}]}, "tolerance must be a list of values"),
        ({"protocols": ["linear", "linear"]}, "'linear' appears twice"),
        ({"protocols": [{"preset": "linear", "name": "pretrained"}]}, "choose another"),
        ({"label_fractions": [2.0]}, "label_fractions is (2.0,)"),
        ({"label_fractions": 0.1}, "label_fractions is 0.1; it must be a list of numbers"),
        ({"label_fractions": [0.1, 0.1]}, "0.1 appears twice"),
        ({"samples_per_class": [0]}, "samples_per_class is (0,)"),
        ({"seeds": []}, "seeds is empty"),
        ({"seeds": [0, 0]}, "seeds: 0 appears twice"),
        ({"seeds": [-1]}, "seeds is (-1,); every value must be at least 0"),
        ({"seeds": [True]}, "seeds is [True]; it must be a list of whole numbers"),
        ({"exclude": [{"domain": "digit"}]}, "matches no cell of the study. domain is one of digits"),
        ({"exclude": [{"domains": "digits"}]}, "unknown key 'domains'"),
        ({"exclude": [{}]}, "would exclude everything"),
        ({"exclude": [{"seed": []}]}, "seed is empty"),
        ({"exclude": [{"domain": "*"}]}, "the exclusions leave no cell"),
        ({"pairs": [["vitt", "resnet"]]}, "there is no backbone 'vitt'; did you mean 'vit'?"),
        ({"pairs": [["vit", "vit"]]}, "can't be compared with itself"),
        ({"pairs": ["vit"]}, "an entry must be [self-supervised, supervised], found 'vit'"),
        ({"analysis": {"max_subse": 3}}, "analysis: unknown field 'max_subse'; did you mean 'max_subset'?"),
        ({"analysis": {"transforms": "quik"}}, "one of quick, standard, full; did you mean 'quick'"),
        ({"analysis": {"target": "logits"}}, "one of centred, logit"),
        ({"analysis": {"max_subset": 0}}, "max_subset is 0"),
        ({"analysis": {"randomisation_cascade": True}}, "set reinitialised_control to true"),
        ({"geometry": {"image_size": 0}}, "image_size is 0; it must be at least 1"),
        (
            {"geometry": {"image_size": 64, "interpolation": "cubic"}},
            "did you mean 'bicubic'? Known: nearest, ",
        ),
        ({"num_threads": 0}, "num_threads is 0"),
        ({"num_threads": True}, "num_threads is True; it must be a whole number or none"),
        ({"seeds": list(range(10_000)), "samples_per_class": list(range(1, 90))}, "more than 100000; split the study"),
        ({"protocols": [{"preset": "linear", "grid": GRID}]}, "grid: that makes 100000000 protocols"),
        ({"protocols": [{"preset": "finetune", **LARGE}]}, "makes 1000000 networks for each cell"),
        ({"protocols": [{"preset": "linear", "tolerance": 1, "grid": {"tolerance": [2]}}]}, "drop one of them"),
        ({"protocols": [{"preset": "linear", "name": 5}]}, "name is 5; it must be text"),
        ({"domains": [{"dataset_name": "digits", "group": "diferent"}]}, "did you mean 'different'"),
        ({"domains": ["digits"] * 1001}, "domains has 1001 entries, more than 1000"),
        ({"backbones": [{"twin_set": 5}]}, "twin_set is 5; it must be text"),
        ({"geometry": {"image_size": True}}, "image_size is True"),
        ({"geometry": {"image_size": 64, "crop_pct": 1e-9}}, "crop_pct is 1e-09; it must be at least 0.1"),
    ],
)
def test_what_is_wrong_is_named(
    changes: dict[str, Any], message: str, study_content: Callable[..., dict[str, Any]]
) -> None:
    assert message in refused(study_content(**changes))


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    for content, message in ((None, "No such file"), ("a: [", "can't be read"), ("- a", "must hold `name: value`")):
        path = tmp_path / "study.yaml"
        if content is not None:
            path.write_text(content)
        with pytest.raises(InputError, match=message):
            read_study(path)


def test_the_registry_says_what_the_file_does_not() -> None:
    config = parse_study({"backbones": [{"twin_set": TWINS}], "domains": ["digits"]}, "study")
    said = {backbone.name: (backbone.objective, backbone.source is not None) for backbone in config.backbones}
    assert said[TWIN] == ("supervised", True)
    assert said["twin-resnet18-simclr"] == ("simclr", True)
    assert said[f"untrained:{TWIN}"] == ("untrained", True)
    assert config.geometry is not None and config.geometry.image_size == 64
    assert (config.label_fractions, config.seeds, config.pairs) == ((1.0,), (0,), None)
    assert [protocol.name for protocol in config.protocols] == ["linear"]


def test_each_source_has_an_untrained_control_unless_one_is_named() -> None:
    rows: list[Any] = [
        {"location": "a/ssl", "objective": "byol", "source": "one"},
        {"location": "a/sup", "objective": "supervised", "source": "one"},
        {"location": "b/sup", "objective": "supervised", "source": "two"},
    ]
    content = {"backbones": rows, "domains": ["digits"]}
    names = [backbone.name for backbone in parse_study(content, "study").backbones]
    assert names[3:] == ["untrained:a/sup", "untrained:b/sup"]
    own = {"location": "untrained:b/sup", "source": "two"}
    names = [backbone.name for backbone in parse_study({**content, "backbones": [*rows, own]}, "study").backbones]
    assert names[3:] == ["untrained:b/sup", "untrained:a/sup"]
    assert len(parse_study({**content, "untrained_control": False}, "study").backbones) == 3


def test_a_set_is_shared_with_the_near_twins_that_it_borrows() -> None:
    near, lightly, dino = "timm/resnet50.tv_in1k", "lightly-simclr-100ep-resnet50", "dino-resnet50"
    shared = {
        names: found.name if (found := shared_set(named_entries(names))) is not None else None
        for names in ((near, lightly), (near, dino), (near,), (lightly, dino), (f"untrained:{near}", lightly))
    }
    assert list(shared.values()) == [
        *("resnet50-in1k-lightly", "resnet50-in1k", "resnet50-in1k", None, "resnet50-in1k-lightly")
    ]
