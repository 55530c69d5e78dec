"""Splits that say in different ways which class a label means: labels are compared with the pictures' colours."""

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.errors import InputError
from tests.support.colours import colour_of, encoded

TRAIN, TEST = ["cat", "dog"] * 6, ["cat", "dog", "dog", "cat"]
TEXT, NUMBER = Value("string"), Value("int64")


def names(*given):
    return ClassLabel(names=list(given))


def write_split(folder, split, feature, colours, labels, start=0):
    rows = {
        "image": [{"bytes": encoded(colour, start + row), "path": None} for row, colour in enumerate(colours)],
        "label": labels,
    }
    features = Features({"image": Image(), "label": feature})
    Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}.parquet")


def values(feature, colours):
    """The colours as labels of a column: numbers for classes that have names."""
    return [feature.str2int(each) for each in colours] if isinstance(feature, ClassLabel) else list(colours)


def load(folder, streaming):
    domain = load_domain(DomainArguments(str(folder), streaming=streaming))
    return domain, [domain.class_names[label] for label in domain.test.labels]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("of_train", "of_test", "colours"),
    [
        (names("dog", "cat"), names("dog", "cat"), TEST),
        (names("dog", "cat"), names("cat", "dog"), TEST),
        (names("cat", "dog"), names("fox", "dog", "owl", "cat"), TEST),
        (names("dog", "cat"), names("cat"), ["cat"] * 3),
        (names("dog", "cat"), TEXT, TEST),
        (TEXT, names("dog", "cat"), TEST),
        (TEXT, TEXT, TEST),
    ],
)
def test_labels_mean_what_their_own_split_says(tmp_path, of_train, of_test, colours, streaming):
    write_split(tmp_path, "train", of_train, TRAIN, values(of_train, TRAIN))
    write_split(tmp_path, "test", of_test, colours, values(of_test, colours), 100)
    domain, found = load(tmp_path, streaming)
    assert found == [colour_of(domain.test.image(position)) for position in range(len(domain.test))] == colours
    assert [domain.class_names[label] for label in domain.validation.labels] == [
        colour_of(domain.validation.image(position)) for position in range(len(domain.validation))
    ]


@pytest.mark.parametrize("streaming", [False, True])
def test_forms_of_unicode_are_one_name(tmp_path, streaming):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for of_train, of_test in ((names(composed, "dog"), names("dog", decomposed)), (TEXT, TEXT)):
        spelled = [values(of_train, [{"cat": composed}.get(each, each) for each in TRAIN])]
        spelled.append(values(of_test, [{"cat": decomposed}.get(each, each) for each in TEST]))
        write_split(tmp_path, "train", of_train, TRAIN, spelled[0])
        write_split(tmp_path, "test", of_test, TEST, spelled[1], 100)
        domain, found = load(tmp_path, streaming)
        assert domain.class_names == (composed, "dog")
        assert found == [{"cat": composed}.get(each, each) for each in TEST]


def test_two_forms_within_a_split_are_one_class(tmp_path):
    feature = names("caf\u00e9", "dog", "cafe\u0301")
    write_split(tmp_path, "train", feature, TRAIN, [2 if row % 4 == 0 else int(row % 2) for row in range(12)])
    write_split(tmp_path, "test", feature, TEST, [2, 1, 1, 0], 100)
    domain, found = load(tmp_path, streaming=False)
    assert domain.class_names == ("caf\u00e9", "dog") and found == ["caf\u00e9", "dog", "dog", "caf\u00e9"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("of_train", "in_train", "of_test", "in_test", "reason"),
    [
        (
            names("dog", "cat"),
            [0, 1] * 6,
            names("cat", "fox"),
            [0, 1, 1, 0],
            r"label 'fox' in row 1 of split 'test' is not one of the training split's classes \('dog', 'cat'\); split "
            r"'test' has the classes \('cat', 'fox'\)",
        ),
        (NUMBER, [0, 1] * 6, names("cat", "dog"), [0, 1, 1, 0], r"label 'cat' .* classes \('0', '1'\)"),
        (TEXT, TRAIN, NUMBER, [0, 1, 1, 0], r"label '0' .* outside the 2 classes \('cat', 'dog'\)"),
        (NUMBER, [0, 1] * 6, TEXT, TEST, "Failed to parse string: 'cat' as a scalar of type int64"),
        (TEXT, TRAIN, TEXT, ["Cat", "dog", "dog", "cat"], "label 'Cat' .* differs from 'cat' only in case or spaces"),
        (TEXT, TRAIN, TEXT, ["cat", "dog ", "dog", "cat"], "label 'dog ' in row 1 .* differs from 'dog' only"),
        (TEXT, ["cat", "cat "] * 6, TEXT, ["cat"] * 4, "the classes 'cat' and 'cat ', which differ only in spaces"),
    ],
)
def test_other_names_are_refused(tmp_path, of_train, in_train, of_test, in_test, reason, streaming):
    write_split(tmp_path, "train", of_train, TRAIN, in_train)
    write_split(tmp_path, "test", of_test, TEST, in_test, 100)
    with pytest.raises(InputError, match=reason):
        load(tmp_path, streaming)


def test_files_of_one_split_have_to_agree(tmp_path):
    write_split(tmp_path, "train-0", names("cat", "dog"), TRAIN, [0, 1] * 6)
    write_split(tmp_path, "train-1", names("dog", "cat"), TRAIN, [1, 0] * 6, 50)
    write_split(tmp_path, "test", names("cat", "dog"), TEST, [0, 1, 1, 0], 100)
    reason = r"files of split 'train' name the classes of column 'label' differently: 'cat', 'dog' and 'dog', 'cat'"
    with pytest.raises(InputError, match=reason):
        load(tmp_path, streaming=False)


def test_numbers_without_names_count_by_position_and_say_so(tmp_path, caplog):
    write_split(tmp_path, "train", names("dog", "cat"), TRAIN, values(names("dog", "cat"), TRAIN))
    write_split(tmp_path, "test", NUMBER, TEST, values(names("dog", "cat"), TEST), 100)
    assert load(tmp_path, streaming=False)[1] == TEST
    assert "split 'test' holds numbers without names" in caplog.text and "'dog', 'cat'" in caplog.text
