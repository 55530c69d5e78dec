"""Short names: what is dropped, and that no two are alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_sslgen.zoo.display_names import display_names

TWINS = {
    "twin-resnet18-supervised": "supervised",
    "twin-resnet18-barlow-twins": "barlow-twins",
    "twin-resnet18-simclr": "simclr",
    "untrained:twin-resnet18-supervised": "untrained",
}


def test_what_all_names_share_is_dropped_and_methods_are_written_as_by_their_authors() -> None:
    assert list(display_names(TWINS).values()) == ["supervised", "Barlow Twins", "SimCLR", "untrained"]


@pytest.mark.parametrize(
    ("objectives", "expected"),
    [
        (
            {"timm/resnet50.tv_in1k": "supervised", "microsoft/resnet-50": "supervised"},
            ["resnet50.tv_in1k", "resnet-50"],
        ),
        ({"a/model": "simclr", "b/model": "byol"}, ["a/model", "b/model"]),
        ({"simclr-run-0": "simclr", "simclr-run-1": "simclr"}, ["simclr-run-0", "simclr-run-1"]),
        ({"mine": "unknown"}, ["mine"]),
        ({"untrained:a": "untrained", "untrained:b": "untrained"}, ["untrained a", "untrained b"]),
        ({"x" * 40 + "a" + "y" * 40: "simclr", "x" * 40 + "b" + "y" * 40: "byol"}, None),
    ],
)
def test_names_that_would_be_alike_keep_what_tells_them_apart(
    objectives: dict[str, str], expected: list[str] | None
) -> None:
    found = list(display_names(objectives).values())
    assert found == expected or (expected is None and len(set(found)) == len(found))


@given(
    st.dictionaries(st.text(min_size=1), st.sampled_from(["simclr", "supervised", "untrained", "unknown"]), min_size=1)
)
def test_any_names_become_short_printable_and_unique(objectives: dict[str, str]) -> None:
    found = display_names(objectives, 12)
    assert found.keys() == objectives.keys() and len(set(found.values())) == len(found)
    assert all(0 < len(name) <= 12 and name.isprintable() for name in found.values())
