"""Families of transforms, and the variants that each family mean averages."""

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
"""Stands in for a transform's name if the other image is another picture of the same thing; in no family."""

FAMILIES = ("mean", "mean_geometric", "mean_appearance")
"""Names of the means over all, over geometric and over appearance transforms."""

MIN_IMAGES = 2
"""Minimum number of changed images for a variant's invariance, because chance needs a second image."""


def families_of(transform: str, num_defined: int, not_label_preserving: tuple[str, ...]) -> tuple[str, ...]:
    """Return the family means that include a variant; none if it may change labels or changes too few images."""
    if transform == PAIR or transform in not_label_preserving or num_defined < MIN_IMAGES:
        return ()
    return ("mean", "mean_geometric" if transform in GEOMETRIC else "mean_appearance")
