"""Whether what was given has labels to compare on, or is only to be looked at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hf_sslgen.app.found_images import find_images
from hf_sslgen.errors import InputError


def test_class_folders_and_tables_are_labels(image_folder: Callable[..., Path]) -> None:
    folder = image_folder({"": 3})
    found = find_images(f"  {folder} ")
    classes = sorted(path.name for path in folder.iterdir())
    assert found.dataset_name == str(folder)
    assert found.in_words == f"{3 * len(classes)} pictures, {len(classes)} classes ({', '.join(classes)})."
    flat = folder / classes[0]
    assert "without labels" in find_images(str(flat)).in_words
    names = [path.name for path in flat.iterdir()]
    (flat / "metadata.csv").write_text("file_name,label\n" + "".join(f"{name},{name[3]}\n" for name in names))
    assert find_images(str(flat)).labels == "labels in a table beside them"


def test_pictures_without_class_folders_or_in_one_are_to_be_looked_at(image_folder: Callable[..., Path]) -> None:
    folder = image_folder({"": 2})
    first = next(folder.iterdir())
    for given in (first, first.rename(folder.parent / f"{folder.name}-alone")):
        if given.exists():
            found = find_images(str(given))
            assert not found.labels and len(found.pictures) == 2
            assert found.in_words.startswith("2 pictures without labels: the backbones are shown side by side")


def test_anything_that_is_no_folder_is_left_to_the_comparison() -> None:
    assert find_images("owner/name").in_words == "The data set owner/name."
    for given, said in (("", "there are no images yet"), ("--help", "starts with a dash")):
        with pytest.raises(InputError, match=said):
            find_images(given)
