"""A preflight names what would spoil every number of a backbone, and is silent about the untouched twins."""

import pytest

from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.zoo.backbone_loading import load_backbone

TWINS = ("twin-resnet18-barlow-twins", "twin-resnet18-simclr", "twin-resnet18-supervised")


@pytest.mark.parametrize("name", TWINS)
def test_untouched_twins_are_not_accused(name: str) -> None:
    assert preflight(load_backbone(name, ("first", "second"), match="none")).findings == ()
