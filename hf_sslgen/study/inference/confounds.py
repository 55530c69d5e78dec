"""In what two backbones differ besides their objective, so that a difference between them may come from that.

Two backbones are twins if architecture and source data are equal. If one of these differs, or the source of one is not
stated, a difference is confounded: it tells which of the two is better here, but not whether the objective is. A
difference in anything else (recipe, pretraining seed, size of the classifier, resolution, library) is named.
"""

from dataclasses import dataclass
from enum import StrEnum

from hf_sslgen.study.inference.known_backbones import KnownBackbone
from hf_sslgen.zoo.backbone_registry import UNTRAINED

NOT_STATED = "not stated"
NOT_RECORDED = "not recorded"


class Facet(StrEnum):
    """In what two backbones can differ, those that make a comparison confounded first."""

    ARCHITECTURE = "architecture"
    SOURCE = "source data"
    SEED = "pretraining seed"
    EPOCHS = "epochs"
    BATCH_SIZE = "batch size of pretraining"
    AUGMENTATION = "augmentation of pretraining"
    FEATURES = "classifier size"
    RESOLUTION = "input resolution"
    LIBRARY = "library"


CONFOUNDING = (Facet.ARCHITECTURE, Facet.SOURCE)
"""What twins must have in common."""


@dataclass(frozen=True)
class Facts:
    """One facet of two backbones: what is known of each, in words; equal, different, or not known of one (None)."""

    facet: Facet
    first: str
    second: str
    are_equal: bool | None

    @property
    def words(self) -> str:
        """The facet and its two values, such as `architecture (resnet50 against vit_base_patch16_224)`."""
        return f"{self.facet} ({' against '.join(dict.fromkeys((self.first, self.second)))})"


@dataclass(frozen=True)
class Confounds:
    """In what two backbones differ.

    Attributes:
        confounding: unequal architecture, or source data that are unequal or not stated.
        further: other facets that are known to differ.
        not_known: facets that are not known of both, source data aside.
        reasons: why the registry does not count one of the two as an exact twin.
        unverified: which of the two have a row in the registry that nobody has verified.
    """

    confounding: tuple[Facts, ...] = ()
    further: tuple[Facts, ...] = ()
    not_known: tuple[Facts, ...] = ()
    reasons: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()

    @property
    def confounded_by(self) -> str:
        """The column of CSV files; empty for twins."""
        return "; ".join(each.words for each in self.confounding)

    @property
    def also_differs_in(self) -> str:
        """The column of CSV files."""
        unverified = [f"{name}: facts of the registry not verified" for name in self.unverified]
        return "; ".join([*(each.words for each in self.further), *self.reasons, *unverified])

    @property
    def columns(self) -> dict[str, str]:
        """What CSV files say, by the fields of a difference."""
        unknown = "; ".join(str(each.facet) for each in self.not_known)
        return {
            "confounded_by": self.confounded_by,
            "also_differs_in": self.also_differs_in,
            "not_known": unknown,
        }


TWINS = Confounds()
"""Nothing is known to differ."""


def confounds(first: KnownBackbone, second: KnownBackbone) -> Confounds:
    """Compare two backbones facet by facet.

    An untrained control is pretrained on nothing, so only architecture, classifier, resolution and library count.
    """
    found = [_architecture(first, second)]
    is_control = UNTRAINED in (first.objective, second.objective)
    if not is_control:
        found += [_source(first, second), *_recipe(first, second)]
    found += [
        _facts(Facet.FEATURES, first.num_features, second.num_features, NOT_RECORDED, " features"),
        _facts(Facet.RESOLUTION, first.image_size, second.image_size, NOT_RECORDED, " px"),
        _facts(Facet.LIBRARY, first.library, second.library, NOT_RECORDED),
    ]
    confounding = [
        each
        for each in found
        if each.facet in CONFOUNDING
        and (each.are_equal is False or (each.facet is Facet.SOURCE and each.are_equal is None))
    ]
    return Confounds(
        tuple(confounding),
        tuple(each for each in found if each.are_equal is False and each not in confounding),
        tuple(each for each in found if each.are_equal is None and each not in confounding),
        () if is_control else tuple(f"{each.name}: {each.reason}" for each in (first, second) if each.reason),
        () if is_control else tuple(e.name for e in (first, second) if e.is_registered and not e.verified),
    )


def same_architecture(first: KnownBackbone, second: KnownBackbone) -> bool | None:
    """Return whether two backbones are of one architecture; None if that is not known.

    The registry's word counts for exact twins of one set. Otherwise the shapes of all tensors decide, within one
    library together with the kinds of layers, or else, for cells of earlier versions, size and name.
    """
    if first.exact_twin and second.exact_twin and first.twin_set is not None and first.twin_set == second.twin_set:
        return True
    if first.trunk is not None and second.trunk is not None:
        same_layers = first.layers == second.layers or first.library != second.library
        return first.trunk == second.trunk and same_layers
    if None not in (first.parameters, second.parameters) and first.parameters != second.parameters:
        return False
    if first.architecture is None or second.architecture is None:
        return None
    return first.architecture == second.architecture


def _architecture(first: KnownBackbone, second: KnownBackbone) -> Facts:
    words = [each.architecture or NOT_RECORDED for each in (first, second)]
    if words[0] == words[1]:  # of other widths or depths, say
        words = [_with_size(each) for each in (first, second)]
    return Facts(Facet.ARCHITECTURE, words[0], words[1], same_architecture(first, second))


def _with_size(each: KnownBackbone) -> str:
    if each.parameters is None:
        return each.architecture or NOT_RECORDED
    return f"{each.architecture or 'one'} of {each.parameters:,} parameters"


def _source(first: KnownBackbone, second: KnownBackbone) -> Facts:
    return _facts(Facet.SOURCE, first.source or None, second.source or None, NOT_STATED)


def _recipe(first: KnownBackbone, second: KnownBackbone) -> list[Facts]:
    return [
        _facts(Facet.SEED, first.pretraining_seed, second.pretraining_seed, NOT_STATED),
        _facts(Facet.EPOCHS, first.epochs, second.epochs, NOT_STATED),
        _facts(Facet.BATCH_SIZE, first.batch_size, second.batch_size, NOT_STATED),
        _facts(Facet.AUGMENTATION, first.augmentation, second.augmentation, NOT_STATED),
    ]


def _facts(facet: Facet, first: str | int | None, second: str | int | None, unknown: str, unit: str = "") -> Facts:
    words = [unknown if value is None else f"{value}{unit}" for value in (first, second)]
    return Facts(facet, words[0], words[1], None if None in (first, second) else first == second)
