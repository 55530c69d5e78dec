"""Registered backbones whose published files have to be converted before a study can use them.

A backbone that a study names itself has to be there. Of a twin set those that are there are used, and the others are
named: once they are converted, the same study computes their cells and keeps the finished ones.
"""

from collections.abc import Iterable, Sequence

from hf_sslgen.errors import InputError
from hf_sslgen.study.backbones import BackboneEntry
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone, get_twin_set
from hf_sslgen.zoo.converted_rows import ORGANIZATION_VARIABLE
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, is_available, split_revision


def unconverted_rows(locations: Iterable[str]) -> tuple[Backbone, ...]:
    """Return the registry rows among these locations that are not converted yet, each once.

    An untrained network needs the converted configuration of its row, so its row counts too.
    """
    bases = (split_revision(location.removeprefix(UNTRAINED_PREFIX))[0] for location in locations)
    rows = (find_backbone(base) for base in dict.fromkeys(bases))
    return tuple(row for row in rows if row is not None and not is_available(row))


def conversion_command(names: Sequence[str]) -> str:
    """Return the command that converts these backbones, ready to be copied."""
    return f"hf-sslgen zoo convert {' '.join(names)}"


def converted_only(backbones: Iterable[BackboneEntry]) -> list[BackboneEntry]:
    """Return the backbones that need no conversion first."""
    return [backbone for backbone in backbones if not unconverted_rows([backbone.location])]


def require_converted(backbones: Iterable[BackboneEntry]) -> None:
    """Raise InputError, naming every backbone that is not converted and the one command that converts them all."""
    names = [row.id for row in unconverted_rows(backbone.location for backbone in backbones)]
    if names:
        raise InputError(
            f"backbones: {len(names)} {'is' if len(names) == 1 else 'are'} published in another format and not "
            f"converted yet: {', '.join(names)}; run `{conversion_command(names)}`, or set {ORGANIZATION_VARIABLE} to "
            "the Hub organisation that holds the converted checkpoints"
        )


def left_out_sentences(left_out: Sequence[BackboneEntry]) -> list[str]:
    """Return a sentence per twin set on the backbones of it that a study leaves out until they are converted."""
    names_of: dict[str, list[str]] = {}
    for row in unconverted_rows(entry.location for entry in left_out):
        names_of.setdefault(str(row.twin_set), []).append(row.id)
    return [
        f"{len(names)} of the {len(get_twin_set(name).backbones)} backbones of twin set {name} "
        f"{'is' if len(names) == 1 else 'are'} not converted yet and left out here: {', '.join(names)}. Run "
        f"`{conversion_command(names)}`, then the study or comparison again; finished cells are kept."
        for name, names in names_of.items()
    ]
