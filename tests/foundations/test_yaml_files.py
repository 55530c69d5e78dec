"""YAML files: each word is read for what it looks like, and nothing takes long or much."""

import time

import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.yaml_files import MAX_BYTES, MAX_DEPTH, parse_yaml, read_yaml

LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "\n".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("3", 3),
        ("-3", -3),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1e-3", 1e-3),
        ("1.5e3", 1500.0),
        ("1.", 1.0),
        (".5", 0.5),
        (".nan", ".nan"),
        ("-.inf", "-.inf"),
        ("2024-01-01", "2024-01-01"),
        ("null", None),
        ("~", None),
        ("None", None),
        ("", None),
        ("'3'", "3"),
        ('"true"', "true"),
        ("=", "="),
        ("[1, two]", [1, "two"]),
        ('{"channels":[24,48],"flag":true}', {"channels": [24, 48], "flag": True}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)
def test_words_are_what_they_look_like(text, value):
    found = parse_yaml(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: 'a' occurs twice"),
        ("1: a", "line 1: the key 1 must be text"),
        ("true: a", "the key true must be text"),
        ("? [a]\n: b", "a key must be text, not a list"),
        ("a: !!python/object/apply:os.system [ls]", "tags such as .* are not supported"),
        ('a: !!int "3"', "tags such as .* are not supported"),
        ("a: ! 3", "tags such as ! are not supported"),
        ("a: &a [*a]", "refers to a value that contains it"),
        ("a: *b", "undefined alias"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: [", "line 1"),
        ("a:\n\t- b", "line 2"),
        ('a: "\\0"', "no file or name can contain"),
        ('a: "\\ud800"', "no file or name can contain"),
        ('a: "\\UFFFFFFFF"', "does not exist"),
        ("a: \x07", "not allowed"),
        ("%YAML 9.9\n---\na: 1", "incompatible"),
    ],
)
def test_what_is_not_read_is_named(text, message):
    with pytest.raises(InputError, match=message) as raised:
        parse_yaml(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "counting the content of aliases"),
        ("[" * 90_000, f"more than {MAX_DEPTH} levels"),
        ("{a: " * 40_000, f"more than {MAX_DEPTH} levels"),
        ("- " * 90_000, f"more than {MAX_DEPTH} levels"),
        ("[" + "1," * 90_000 + "]", "more than 20000 values"),
        ("a" * (MAX_BYTES + 1), "larger than 200 kB"),
    ],
    ids=["laughs", "lists", "mappings", "dashes", "numbers", "bytes"],
)
def test_what_is_too_large_is_refused_soon(text, message):
    started = time.process_time()
    with pytest.raises(InputError, match=message):
        parse_yaml(text)
    assert time.process_time() - started < 20  # seconds of computing; unbounded reading takes minutes or all memory


def test_a_file_is_read_no_further_than_its_limit(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(10**12)  # a sparse file
    with pytest.raises(InputError, match=r"config '.*large.yaml' can't be read: it is larger than 200 kB"):
        read_yaml(path, "config")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfea", "it is not UTF-8 text"),
        (b"- a", "must hold `name: value` lines, not a list"),
        (b"5", "must hold `name: value` lines, not a int"),
    ],
)
def test_a_file_of_something_else_is_named(tmp_path, content, message):
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read_yaml(path, "study")
    assert str(path) in str(raised.value)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none.yaml' can't be read: No such file"):
        read_yaml(tmp_path / "none.yaml", "config")
    with pytest.raises(InputError, match="Is a directory"):
        read_yaml(tmp_path, "config")


def test_an_empty_file_says_nothing(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("\ufeff# only a comment\n", encoding="utf-8")
    assert read_yaml(path, "config") == {}
