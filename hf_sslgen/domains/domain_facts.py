"""What a study needs to know of a domain to recognise its cells, and when it may have changed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.domains.taken import Taken
from hf_sslgen.file_signatures import UNKNOWN, Signature, file_signature

ELSEWHERE = re.compile(r"\.\./|://|[\s'\"\[]/")
"""In the head of a folder's README.md: files outside the folder."""


@dataclass(frozen=True)
class DomainFacts:
    """What decides a cell's numbers on the part of its domain, and what it consists of; attributes as in `Domain`.

    Attributes:
        fingerprints: of the splits, by role.
    """

    name: str
    class_names: tuple[str, ...]
    not_label_preserving: tuple[str, ...]
    draws_splits: bool
    fingerprints: dict[str, str]
    taken: Taken

    @classmethod
    def of(cls, domain: Domain) -> "DomainFacts":
        """Fingerprint a loaded domain, which reads its pictures."""
        return cls(
            domain.name,
            domain.class_names,
            domain.not_label_preserving,
            domain.draws_splits,
            domain.fingerprints(),
            domain.taken,
        )

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "DomainFacts":
        """Read what `dataclasses.asdict` and JSON have made of the facts; raises KeyError or TypeError if damaged."""
        lists = {key: tuple(content[key]) for key in ("class_names", "not_label_preserving")}
        return cls(**{**content, **lists, "taken": Taken.from_json(content["taken"])})


def source_signature(source: Path | HubDataset) -> Signature:
    """Return the signature of a dataset: its commit on the Hub, or names, sizes and times of its files."""
    if isinstance(source, HubDataset):
        return UNKNOWN if source.commit is None else Signature(f"{source} {source.config}", is_final=True)
    return UNKNOWN if _names_files_elsewhere(source) else file_signature(source)


def _names_files_elsewhere(folder: Path) -> bool:
    try:
        head = (folder / "README.md").read_text(encoding="utf-8", errors="replace").partition("\n---")[0]
    except OSError:
        return False
    return ELSEWHERE.search(head) is not None and "configs:" in head
