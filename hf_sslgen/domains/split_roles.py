"""Assign the published splits to training, validation and testing."""

from collections.abc import Collection

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.errors import InputError, hinted

ROLE_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Split names by role, compared as whole words and case-insensitively."""

SPLIT_COLUMN = "split"
"""Column that states the split of a row, compared case-insensitively."""


def role_of(name: str) -> str | None:
    """Return the role of a split or folder name, a key of `ROLE_NAMES`; None if the name implies none."""
    return next((role for role, names in ROLE_NAMES.items() if name.casefold() in names), None)


def asked_splits(arguments: DomainArguments, entry: DomainEntry | None) -> dict[str, str]:
    """Return the splits named by the arguments or else the registry, by role."""
    asked = {
        "train": arguments.train_split_name or (entry.train_split if entry else None),
        "validation": arguments.validation_split_name or (entry.validation_split if entry else None),
        "test": arguments.test_split_name or (entry.test_split if entry else None),
    }
    return {role: name for role, name in asked.items() if name is not None}


def split_names(
    arguments: DomainArguments, entry: DomainEntry | None, available: Collection[str]
) -> tuple[str, str | None, str | None]:
    """Name the training, validation and test splits; a missing one is None.

    A split is found by its own name or by another name for the same role (`ROLE_NAMES`). Without a test split, the
    validation split is used for testing.

    Raises:
        InputError: a requested split is missing, two splits share a role, or one split would have two roles.
    """
    asked = asked_splits(arguments, entry)
    found = {role: _find(name, role, available, arguments.dataset_name) for role, name in asked.items()}
    for role in ("train", "test", "validation"):
        if role not in found:
            taken = {name for other, name in found.items() if other != role}
            candidates = [name for name in available if role_of(name) == role and name not in taken]
            if len(candidates) > 1:
                raise InputError(
                    f"{arguments.dataset_name!r} has {len(candidates)} splits whose names mean {role} "
                    f"({_listed(candidates)}); choose one with --{role}_split_name"
                )
            if candidates:
                found[role] = candidates[0]
    if "train" not in found:
        found["train"] = _find("train", "train", available, arguments.dataset_name)
    if "test" not in found and "validation" in found and "validation" not in asked:
        found["test"] = found.pop("validation")  # the measured split must not be used for selection
    if len(set(found.values())) < len(found):
        raise InputError(
            f"training, validation and test each need their own split; train_split_name is {found['train']!r}, "
            f"validation_split_name {found.get('validation')!r} and test_split_name {found.get('test')!r}"
        )
    return found["train"], found.get("validation"), found.get("test")


def _find(wanted: str, role: str, available: Collection[str], dataset_name: str) -> str:
    """Find a split by its exact name, by its name in another case, or by another name for the same role."""
    meant = role_of(wanted)
    for same in (
        [name for name in available if name == wanted],
        [name for name in available if name.casefold() == wanted.casefold()],
        [name for name in available if meant is not None and role_of(name) == meant],
    ):
        if len(same) == 1:
            return same[0]
        if same:
            raise InputError(
                f"{role}_split_name {wanted!r} could mean {_listed(same)} of {dataset_name!r}; give one of these"
            )
    raise InputError(
        hinted(
            f"{role}_split_name {wanted!r} is not a split of {dataset_name!r}, which has: {', '.join(available)}",
            wanted,
            available,
        )
    )


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names)
