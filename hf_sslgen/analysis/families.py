"""Families of transforms, and which variants a family mean is taken over."""

GEOMETRIC = (
    "rotation",
    "translation",
    "scale",
    "shear",
    "resized_crop",
    "horizontal_flip",
    "vertical_flip",
    "elastic",
)
PAIR = "pair"
"""In place of a transform's name: the other image is another picture of the same thing, and in no family."""

FAMILIES = ("mean", "mean_geometric", "mean_appearance")
"""Names under which means over all, over geometric and over the other (appearance) transforms are kept."""

MIN_IMAGES = 2
"""Chance needs a second image, so a variant that changes fewer than two has no invariance."""


def families_of(transform: str, num_defined: int, not_label_preserving: tuple[str, ...]) -> tuple[str, ...]:
    """The family means that a variant takes part in: none where it may change labels or changes too few images."""
    if transform == PAIR or transform in not_label_preserving or num_defined < MIN_IMAGES:
        return ()
    return ("mean", "mean_geometric" if transform in GEOMETRIC else "mean_appearance")
