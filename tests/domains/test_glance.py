"""What is said of a domain before it is loaded agrees with what loading it finds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.glance import glance


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ({"train": 10, "test": 4}, "3 classes, 30 train and 12 test images; held out of train: 20% for validation"),
        ({"train": 5, "val": 4, "test": 4}, "3 classes, 15 train, 12 validation and 12 test images"),
        ({"": 20}, "3 classes, 60 train images; held out of train: 20% for test and 20% for validation"),
    ],
)
def test_a_folder_of_pictures(image_folder: Callable[..., Path], counts: dict[str, int], line: str) -> None:
    arguments = DomainArguments(str(image_folder(counts)))
    found = glance(arguments)
    assert found is not None and found.line() == f"photo-patches: {line}"
    domain = load_domain(arguments)
    assert len(domain.class_names) == found.num_classes
    assert sum(map(len, (domain.train, domain.validation, domain.test))) == sum(found.images.values())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["digits", "photo-patches", "specimen-patches"])
def test_embedded_domains_and_files(name: str) -> None:
    found, domain = glance(DomainArguments(name)), load_domain(DomainArguments(name))
    assert found is not None and found.num_classes == len(domain.class_names)
    assert found.images["test"] == len(domain.test)
    assert found.images["train"] == len(domain.train) + len(domain.validation)  # type: ignore[arg-type]


def test_what_only_loading_tells_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    for name in ("owner/dataset", str(tmp_path / "empty"), str(tmp_path / "broken.parquet"), str(tmp_path / "none")):
        assert glance(DomainArguments(name)) is None
    assert glance(DomainArguments("eurosat")).line().startswith("eurosat: 10 classes, 16,200 train")  # type: ignore[union-attr]


def test_real_parquet_folders(shared_data: Path) -> None:
    found = glance(DomainArguments(str(shared_data / "chest-xray")))
    assert found is not None
    assert (
        found.line() == "chest-xray: 3 classes, 786 train and 338 test images; held out of train: 20% for validation"
    )
