"""Methods and limits in plain words, as they stand at the end of a page."""

from hf_sslgen.metrics.catalogue import explanations
from hf_sslgen.metrics.catalogue.metric import Explanation, Part
from hf_sslgen.metrics.catalogue.rows import explanations_of

OF_DOMAINS = (
    Explanation(
        "Effect size, share higher",
        "Of a mean difference over domains. Effect size is Hedges’ g: the mean divided by its standard deviation over "
        "domains, corrected for their small number; beyond ±0.8 is usually called large. Share higher is the share of "
        "domains on which the difference is positive. For numbers where lower is better (Brier score, NLL) a positive "
        "difference is no improvement.",
    ),
)

LIMITS = (
    "Intervals on one domain are 95% intervals over the test images (few-shot: over episodes). Those of shares are "
    "exact, and those of their differences exclude zero only where McNemar’s exact test does. What follows from right "
    "and wrong (gap, Brier score, NLL, AUROC) needs ten right and ten wrong predictions, and its differences ten "
    "images that either gets wrong; mean confidence needs ten images of confidence .95 or less; mean per-class "
    "accuracy ten images of every class; any other mean 100 images. Below that, and for calibration errors always, "
    "no interval holds the truth as often as it says, so none is given. They speak of these images and these "
    "trained models: not of images of another kind, other seeds, other pretraining runs or other domains, and not of "
    "kinds of images that are too rare to be among these.",
    "Several seeds are averaged image by image: fine-tuning seeds first, then pretraining seeds. Their spreads stand "
    "apart in the table by domain; no interval over images includes them.",
    "Intervals over domains are Student’s t on one difference per domain, since domains are few. They speak of "
    "other domains only as far as these are a fair sample of their kind, and hold 82 to 90% instead of 95% where "
    "differences between domains are strongly skewed, which so few can’t show.",
    "A p-value is that of an exact Wilcoxon signed-rank test over domains, adjusted by Holm over the numbers of one "
    "comparison and group. Four domains allow none below 0.125, six none below 0.031, so it is often out of reach.",
    "“Undecided” means that the interval includes zero, or that too few images allow one. It is no proof that two "
    "backbones are equal.",
    "Each interval stands alone. Of many comparisons without any true difference about one in twenty is decided by "
    "chance; intervals are not corrected for the number of comparisons.",
    "Attribution is compared on images where both backbones have a map with positive evidence. Concentration depends "
    "on the size of the grid: only backbones of one architecture are comparable, and only maps of one method.",
    "An untrained control is the same architecture with random weights. What it reaches is owed to architecture and "
    "probe, not to pretraining.",
    "A pair differs in its pretraining objective. Where training length, augmentation or data also differ between "
    "two published checkpoints, the comparison is of the checkpoints, not of the objectives alone.",
)


def glossary(about_maps: str) -> list[Explanation]:
    """What the numbers mean, as the catalogue explains them.

    Args:
        about_maps: what the attribution maps of this report are; empty where it has none.
    """
    of_predictions = explanations_of((Part.ACCURACY, Part.CONFIDENCE), explanations.OF_PREDICTIONS)
    of_maps = explanations_of((Part.CONCENTRATION, Part.LOCALIZATION, Part.CONTROL), explanations.OF_MAPS)
    of_features = explanations_of((Part.INVARIANCE,), explanations.OF_FEATURES)
    maps = [Explanation("Attribution maps of this report", about_maps), *of_maps] if about_maps else []
    return [*of_predictions, *maps, *of_features, *OF_DOMAINS]
