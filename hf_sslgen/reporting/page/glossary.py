"""Describe methods and limits in plain words, for the end of a page."""

from hf_sslgen.metrics.catalogue import explanations
from hf_sslgen.metrics.catalogue.metric import Explanation, Part
from hf_sslgen.metrics.catalogue.rows import explanations_of

OF_DOMAINS = (
    Explanation(
        "Effect size, share higher",
        "These describe a mean difference over domains. Effect size is Hedges’ g: the mean divided by the standard "
        "deviation over domains, corrected for their small number; values beyond ±0.8 are usually called large. Share "
        "higher is the share of domains with a positive difference. For numbers where lower is better (Brier score, "
        "NLL), a positive difference is not an improvement.",
    ),
)

LIMITS = (
    "Intervals on one domain are 95% intervals over the test images (few-shot: over these and over the draws of "
    "episodes from them). Intervals of shares are exact, and those of their differences exclude zero only if "
    "McNemar’s exact test does. Numbers that depend on "
    "correctness (gap, Brier score, NLL, AUROC) need ten right and ten wrong predictions, and their differences ten "
    "images that either model gets wrong; mean confidence needs ten images with confidence .95 or less; mean "
    "per-class accuracy ten images of every class; any other mean 100 images. With fewer, and for calibration errors "
    "always, no interval reaches its nominal coverage, so none is given. These intervals apply to these images and "
    "these trained models, not to images of another kind or other domains, nor to kinds of images that are too rare "
    "to be among these. Where images come in groups, such as patients or photographs, intervals are over groups "
    "instead and need at least ten of them.",
    "Several seeds are averaged image by image: fine-tuning seeds first, then pretraining seeds. An "
    "interval’s scope is what it applies to: these weights; these backbones trained again, which needs three training "
    "seeds; or these objectives pretrained again, which needs three pretraining runs. A verdict is that of the widest "
    "scope with enough runs. It assumes that runs are a fair sample, with differences that are roughly normal.",
    "Intervals over domains are Student’s t intervals on one difference per domain, since domains are few. They apply "
    "to other domains only if these are a fair sample of their kind, and cover 82 to 90% instead of 95% if "
    "differences between domains are strongly skewed, which can’t be detected from so few.",
    "The verdicts of the answer are one family: each needs a p-value below 0.05 after Holm’s adjustment for all of "
    "them. All other differences are exploratory. Their q-values (Benjamini and Hochberg) estimate which share of the "
    "differences with such a q-value or a lower one is due to chance.",
    "Signed rank is an exact Wilcoxon test over domains, Holm-adjusted over the numbers of one comparison and group. "
    "It can’t fall below 0.125 with four domains or 0.031 with six, so it often can’t reach 0.05.",
    "The detectable difference is the true difference for which a study like this one reaches a verdict in 80% of "
    "cases, before adjustment.",
    "“Undecided” means that the interval includes zero, that there are too few images for one, or that the verdict "
    "does not survive the adjustment. It does not prove that two backbones are equal.",
    "Intervals are not adjusted: of many without any true difference, about one in twenty excludes zero by chance.",
    "Attribution is compared on images where both backbones have a map with positive evidence. Concentration depends "
    "on the grid size, so only backbones of the same architecture are comparable, and only maps of the same method.",
    "An untrained control is the same architecture with random weights. What it reaches is due to architecture and "
    "probe, not to pretraining.",
    "A pair differs in its pretraining objective. If training length, augmentation or data also differ between two "
    "published checkpoints, the comparison is between the checkpoints, not just the objectives.",
)


def glossary(about_maps: str) -> list[Explanation]:
    """Return the catalogue's explanations of the numbers.

    Args:
        about_maps: description of this report's attribution maps; empty if it has none.
    """
    of_predictions = explanations_of((Part.ACCURACY, Part.CONFIDENCE), explanations.OF_PREDICTIONS)
    of_maps = explanations_of((Part.CONCENTRATION, Part.LOCALIZATION, Part.CONTROL), explanations.OF_MAPS)
    of_features = explanations_of((Part.INVARIANCE,), explanations.OF_FEATURES)
    maps = [Explanation("Attribution maps of this report", about_maps), *of_maps] if about_maps else []
    return [*of_predictions, *maps, *of_features, *OF_DOMAINS]
