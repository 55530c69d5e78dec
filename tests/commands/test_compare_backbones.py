"""Which backbones `compare` takes, and with which pixels, for what it is told."""

from pathlib import Path

import pytest

from hf_sslgen.commands.compare import CompareArguments
from hf_sslgen.commands.compare_plan import planned_cells
from hf_sslgen.domains.domain_arguments import SharedDomainArguments
from hf_sslgen.errors import InputError
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.training.configuration import parse_arguments

TWINS = ["twin-resnet18-supervised", "twin-resnet18-simclr", "twin-resnet18-barlow-twins"]
SET = "resnet18-tiny-imagenet-100"


def cells(*options: str) -> list[CellSpec]:
    given = ["--dataset_name", "digits", "--output_dir", "out", *options]
    return planned_cells(*parse_arguments((CompareArguments, SharedDomainArguments), "", given))


def test_a_set_named_backbone_by_backbone_gives_the_same_cells() -> None:
    assert cells("--backbones", *TWINS) == cells("--twin_set", SET)
    two = cells("--backbones", *TWINS[:2], "--untrained_control", "false")
    assert [each for each in two if each not in cells("--twin_set", SET)] == []
    assert {each.backbone.name for each in two} == set(TWINS[:2])


def test_others_keep_their_own_pixels_and_a_folder_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    found = cells("--backbones", str(tmp_path / "mine"), TWINS[0], "--objectives", "simclr", "-")
    assert {each.geometry for each in found} == {None}
    named = {each.backbone.name: each.backbone.objective for each in found}
    controls = {"untrained:mine": "untrained", f"untrained:{TWINS[0]}": "untrained"}  # one for each source
    assert named == {"mine": "simclr", TWINS[0]: "supervised", **controls}
    assert {each.backbone.location for each in found if each.backbone.name == "mine"} == {str(tmp_path / "mine")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either twin_set .* or backbones"),
        (["--twin_set", SET, "--backbones", TWINS[0]], "give either twin_set .* or backbones"),
        (["--backbones", TWINS[0], TWINS[0]], "backbones: 'twin-resnet18-supervised' is given twice"),
        (["--backbones", *TWINS, "--objectives", "simclr"], "objectives has 1 values for 3 backbones"),
        (["--twin_set", SET, "--objectives", "simclr"], "objectives has 1 values for 0 backbones"),
    ],
)
def test_what_contradicts_itself_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cells(*options)
