"""Settings are of the kind and in the range that a field says, wherever they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from transformers import SchedulerType

from hf_sslgen.errors import InputError
from hf_sslgen.settings import NOT_NEGATIVE, SEED, SHARE, Range, check_fields, ranged, read_setting, setting


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (int, 3, 3),
        (int, "3", 3),
        (int, "-0", 0),
        (float, 1, 1.0),
        (float, "1e-3", 1e-3),
        (float, ".5", 0.5),
        (bool, False, False),
        (bool, "no", False),
        (bool, "ON", True),
        (bool, "0", False),
        (int | None, None, None),
        (int | None, "None", None),
        (bool | None, "null", None),
        (str | None, None, None),
        (str, "010", "010"),
        (Literal["a", "no"], "no", "no"),
        (SchedulerType | str, "cosine", SchedulerType.COSINE),
        (list[float], [1, "2e0"], [1.0, 2.0]),
        (list[str], "one", ["one"]),
        (list[str] | None, None, None),
        (tuple[float, ...], [1, 2], (1.0, 2.0)),
        (dict[str, Any], '{"a": [1, true]}', {"a": [1, True]}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (dict | str | None, "path.json", "path.json"),
        (dict | str | None, '{"a": 1}', {"a": 1}),
        (bool | str | None, "folder", "folder"),
        (bool | str | None, True, True),
    ],
)
def test_what_fits_is_taken_as_it_is_meant(kind, given, value):
    found = read_setting("it", kind, given, None)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (int, True, "it is True; it must be a whole number"),
        (int, 1.0, "a whole number"),
        (int, "010", "it is '010'; it must be a whole number"),
        (int, "1_000", "a whole number"),
        (int, "٣", "a whole number"),
        (int, "9" * 5000, "a whole number"),
        (int, None, "a whole number"),
        (int | None, "none", "a whole number or none"),
        (float, "nan", "a number"),
        (float, "1e999", "a number"),
        (float, float("inf"), "a number"),
        (float, 10**400, "a number"),
        (float, [1e-3], "a number"),
        (bool, 0, "true or false"),
        (bool, "maybe", "true or false"),
        (bool, "", "true or false"),
        (str, 5, "it is 5; it must be text"),
        (str, False, "text"),
        (str, "a\0b", "text"),
        (str, "\udcff", "text"),
        (str, "", "it is empty"),
        (str | None, "None", "left out, or null"),
        (Literal["similar", "different"], "diferent", "one of similar, different; did you mean 'different'"),
        (Literal["similar", "different"] | None, "diferent", "did you mean 'different'"),
        (SchedulerType | str, "cosin", "did you mean 'cosine'"),
        (list[int], [1, "b"], "a list of whole numbers"),
        (list[int], [[1]], "a list of whole numbers"),
        (tuple[int, ...], 1, "a list of whole numbers"),
        (dict[str, Any], "{", "a mapping"),
        (dict[str, Any], "a", "a mapping"),
        (dict[str, Any], {1: 2}, "a mapping"),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(kind, given, message):
    with pytest.raises(InputError, match=message) as raised:
        read_setting("it", kind, given, None)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "words"),
    [
        (SHARE, (1e-9, 1), (0, 1.1, -1), "above 0 and at most 1"),
        (Range(above=0, below=1), (0.5,), (0, 1), "above 0 and below 1"),
        (NOT_NEGATIVE, (0, 5), (-1e-9,), "at least 0"),
        (SEED, (0, 2**32 - 1), (-1, 2**32), "at least 0 and at most 4294967295"),
    ],
)
def test_ranges(limits, inside, outside, words):
    for value in inside:
        assert read_setting("it", float, value, limits) == value
        assert read_setting("it", list[float], [value], limits) == [value]
    for value in outside:
        with pytest.raises(InputError, match=f"it must be {words}"):
            read_setting("it", float, value, limits)
        with pytest.raises(InputError, match=f"every value must be {words}"):
            read_setting("it", list[float], [0.5, value], limits)


@dataclass(frozen=True)
class Checked:
    count: int = setting(1, range=Range(at_least=1), help="How many.")
    rates: tuple[float, ...] = ranged((1.0,), above=0)
    name: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)


def test_a_dataclass_checks_itself_and_reads_no_text_as_numbers():
    assert Checked(2, (1, 2.0), "a").rates == (1, 2.0)
    for wrong, message in (
        ({"count": "2"}, "count is '2'"),
        ({"count": 0}, "count is 0; it must be at least 1"),
        ({"rates": [1.0]}, "a list of numbers"),
        ({"rates": ()}, "rates is empty"),
        ({"rates": (1.0, 1.0)}, "only once"),
        ({"name": 5}, "name is 5"),
        ({"name": "a/" + 256 * "b"}, "too long for a name"),
        ({"name": 9999 * "a/"}, "too long for a name"),
    ):
        with pytest.raises(InputError, match=message):
            Checked(**wrong)
