"""Generated folders of pictures whose colours say where they belong: each is read once, in its split and its class."""

import json
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.errors import InputError
from tests.support.coloured_pictures import LOSSLESS, SPLITS, Kind, kinds_by_role, write_picture

SPELLINGS = {
    "train": ("train", "Train", "TRAIN", "training", "Training"),
    "validation": ("validation", "valid", "val", "dev", "Val", "Validation"),
    "test": ("test", "Test", "testing", "eval", "Evaluation", "TEST"),
}
CLASSES = (
    *("bus", "car", "train", "test", "val", "test_tube", "dev-board", "validation", "Training", "eval_1", "data"),
    *(
        "NA",
        "None",
        "null",
        "nan",
        "",
        "0",
        "00",
        "1",
        "true",
        "__background__",
        "__pycache__",
        "a[b]",
        "[ab]",
        "what?",
    ),
    *("star*", "x.y", "name.png", "two words", "café", "日本", "label", "image", "images", "file_name", "folder"),
)
STEMS = (
    "train_1",
    "test-2",
    "photo_3",
    "val.4",
    "a.b.c",
    "[5]",
    "six*",
    "7?",
    "metadata",
    "eight 8",
    "test",
    "0",
    "é",
)
ROOTS = ("plain", "my [photos]", "what?", "all*", "train", "test_set", "v1.0", "a{b,c}", "é")


@dataclass
class Generated:
    """A folder, what each picture in it should be read as, and how many files should be said to be left out."""

    root: Path
    expected: dict[str, list[tuple[Kind, str]]] = field(default_factory=dict)
    left_out: int = 0
    is_refused: bool = False


def generate(folder: Path, seed: int) -> Generated:
    """A layout that the seed decides."""
    rng = np.random.default_rng(seed)

    def pick(values):
        return values[rng.integers(len(values))]

    made = Generated(folder / pick(ROOTS))
    base = made.root.joinpath(*(["data"] if rng.random() < 0.15 else []))
    has_splits = rng.random() < 0.75
    roles = ["train", *(role for role in ("validation", "test") if rng.random() < 0.7)] if has_splits else ["train"]
    classes = list(rng.permutation([name for name in CLASSES if name])[: rng.integers(2, 6)])
    for role in roles:
        split = base / pick(SPELLINGS[role]) if has_splits else base
        if has_splits and rng.random() < 0.15:
            (folder / "elsewhere" / role).mkdir(parents=True)
            split.parent.mkdir(parents=True, exist_ok=True)
            split.symlink_to(folder / "elsewhere" / role, target_is_directory=True)
        for label, name in enumerate(classes):
            form = pick(("NFC", "NFD")) if has_splits else "NFC"
            place = split / unicodedata.normalize(form, name)
            if rng.random() < 0.15:
                (folder / "linked" / role / str(label)).mkdir(parents=True)
                split.mkdir(parents=True, exist_ok=True)
                place.symlink_to(folder / "linked" / role / str(label), target_is_directory=True)
            names = rng.permutation([f"{stem}{pick(_suffixes())}" for stem in STEMS])[: rng.integers(5, 8)]
            for number, file in enumerate(names):
                below = ["deeper"] if rng.random() < 0.1 else []
                kind = Kind(SPLITS.index(role), label, number)
                write_picture(place.joinpath(*below, str(file)), kind)
                made.expected.setdefault(role, []).append((kind, unicodedata.normalize("NFC", name)))
            made.left_out += _litter(place, rng)
        if rng.random() < 0.2:
            _describe(split, classes, rng)
    named = {name.casefold() for names in SPELLINGS.values() for name in names}
    made.is_refused = not has_splits and any(name.casefold() in named for name in classes)
    return made


def _suffixes():
    return [suffix if index % 2 else suffix.upper() for index, suffix in enumerate([*LOSSLESS, *LOSSLESS])]


def _litter(place: Path, rng: np.random.Generator) -> int:
    """Put files that are not pictures beside them; returns how many must be named as left out."""
    if rng.random() > 0.3:
        return 0
    for name in ("one.heic", "two.DNG", "notes.txt", "backup.zip"):
        (place / name).write_bytes(b"x")
    write_picture(place / ".hidden" / "copy.png", Kind(3, 0, 0))
    write_picture(place / "._resource.png", Kind(3, 0, 1))
    for name in ("README.md", "Thumbs.db"):
        (place / name).write_bytes(b"x")
    return 6


def _describe(split: Path, classes: list[str], rng: np.random.Generator) -> None:
    """Put a table without labels beside the class folders."""
    rows = [
        {"file_name": str(path.relative_to(split)), "scanner": int(rng.integers(3)), "age": 0.5}
        for name in classes
        for path in sorted(split.glob("*/*"))
        if path.parent.name == name and path.suffix.lower() in LOSSLESS and not path.name.startswith(".")
    ]
    (split / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))


def check(folder: Path, seed: int) -> str:
    """Load the layout of a seed and compare it with what its pictures say; returns what came out."""
    made = generate(folder, seed)
    arguments = DomainArguments(str(made.root))
    if made.is_refused:
        with pytest.raises(InputError, match=r"split|--label_column_name|one folder per class"):
            load_domain(arguments)
        return "refused"
    domain = load_domain(arguments)
    found = kinds_by_role(domain)
    published = {role: sorted(each) for role, each in made.expected.items()}
    measured = "test" if "test" in published else "validation" if "validation" in published else None
    if measured is not None:
        assert found.pop("test") == published.pop(measured)
    if "validation" in published:
        assert found.pop("validation") == published.pop("validation")
    assert sorted(each for role in found.values() for each in role) == published["train"]
    assert {name for each in made.expected.values() for _, name in each} == set(domain.class_names)
    assert sum(each.count or 0 for each in domain.taken.left_out) == made.left_out
    assert sum(split.images or 0 for split in domain.taken.splits) == sum(map(len, made.expected.values()))
    return "right"


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_every_picture_is_read_once_in_its_split_and_class(tmp_path, first):
    found = [check(tmp_path / str(seed), seed) for seed in range(first, first + 20)]
    assert found.count("right") >= 12


@pytest.mark.slow
def test_thousands_of_layouts_are_read_right_or_refused(tmp_path):
    for seed in range(1000, 4000):
        check(tmp_path / str(seed), seed)
