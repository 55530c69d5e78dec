"""Describe methods and limits in plain words, for the end of a page and for its tips."""

from hf_sslgen.metrics.catalogue import explanations
from hf_sslgen.metrics.catalogue.metric import Explanation, Part
from hf_sslgen.metrics.catalogue.rows import explanations_of

OF_TESTS = (
    Explanation(
        "Untrained control",
        "The same architecture with random weights. What it reaches is due to architecture and probe, not to "
        "pretraining.",
    ),
    Explanation(
        "Scope",
        "What an interval applies to. The narrowest scope is these weights. These backbones trained again need three "
        "training seeds. These objectives pretrained again need three pretraining runs. A verdict is that of the "
        "widest scope with enough runs.",
    ),
    Explanation(
        "Undecided",
        "The interval includes zero, there are too few images for one, or the verdict does not survive the "
        "adjustment. It does not prove that two backbones are equal.",
    ),
    Explanation(
        "Adjusted",
        "For headline verdicts, the p-value after Holm’s adjustment for all of them. Other differences are "
        "exploratory. They have a q-value (Benjamini and Hochberg): the share of differences with this value or a "
        "lower one that is due to chance.",
    ),
    Explanation(
        "Detectable",
        "The true difference for which a study like this one reaches a verdict in 80% of cases, before adjustment.",
    ),
    Explanation(
        "Tier",
        "Each tier starts with the most accurate backbone not yet in a tier. It also holds every remaining "
        "backbone that is not told apart from that one. Pairs are compared on the same images and adjusted over all "
        "pairs of the table. Backbones of different tiers may still not be told apart from each other.",
    ),
    Explanation("Average rank", "The rank of a backbone on each domain, averaged over domains. Lower is better."),
    Explanation(
        "Pareto front",
        "A backbone is on the front if no other is as good by all criteria and better by one.",
    ),
    Explanation(
        "Effect size, share higher",
        "These describe a mean difference over domains. Effect size is Hedges’ g: the mean divided by the standard "
        "deviation over domains, corrected for their small number. Values beyond ±0.8 are usually called large. Share "
        "higher is the share of domains with a positive difference. Where lower is better (Brier score, NLL), a "
        "positive difference is not an improvement.",
    ),
    Explanation(
        "Signed rank",
        "An exact Wilcoxon test over domains, Holm-adjusted over the numbers of one comparison and group. With four "
        "domains it can’t fall below 0.125, with six not below 0.031. So it often can’t reach 0.05.",
    ),
)

LIMITS = (
    "Intervals on one domain are 95% intervals over the test images. For few-shot protocols they are over these and "
    "over the draws of episodes from them. They apply to these images and these trained models. They do not apply to "
    "other domains, or to kinds of images too rare to be among these. Where images come in groups, such as patients, "
    "intervals are over groups and need at least ten of them.",
    "Intervals of shares are exact. Those of their differences exclude zero only if McNemar’s exact test does.",
    "Some numbers have no interval because it would not reach its nominal coverage. Calibration errors never have "
    "one. Gap, Brier score, NLL and AUROC need ten right and ten wrong predictions. Their differences need ten images "
    "that either model gets wrong. Mean confidence needs ten images with confidence .95 or less. Mean per-class "
    "accuracy needs ten images of every class, and any other mean 100 images.",
    "Several seeds are averaged image by image: fine-tuning seeds first, then pretraining seeds. A scope beyond these "
    "weights assumes that runs are a fair sample, with differences that are roughly normal.",
    "Intervals over domains are Student’s t intervals on one difference per domain, since domains are few. They apply "
    "to other domains only if these are a fair sample of their kind. If differences between domains are strongly "
    "skewed, they cover 82 to 90% instead of 95%. So few domains can’t show whether they are.",
    "Headline verdicts are one family: each needs a p-value below 0.05 after Holm’s adjustment for all of them. All "
    "other differences are exploratory.",
    "Intervals are not adjusted: of many without any true difference, about one in twenty excludes zero by chance.",
    "Attribution is compared on images where both backbones have a map with positive evidence. Concentration depends "
    "on the grid size. Only backbones of the same architecture are comparable, and only maps of the same method.",
    "A pair differs in its pretraining objective. Two published checkpoints may also differ in training length, "
    "augmentation or data. The comparison is then between the checkpoints, not just the objectives.",
)


def glossary(about_maps: str) -> list[Explanation]:
    """Return the explanations of the page's words, and the catalogue's explanations of the numbers.

    Args:
        about_maps: description of this report's attribution maps; empty if it has none.
    """
    of_predictions = explanations_of((Part.ACCURACY, Part.CONFIDENCE), explanations.OF_PREDICTIONS)
    of_maps = explanations_of((Part.CONCENTRATION, Part.LOCALIZATION, Part.CONTROL), explanations.OF_MAPS)
    of_features = explanations_of((Part.INVARIANCE,), explanations.OF_FEATURES)
    maps = [Explanation("Attribution maps of this report", about_maps), *of_maps] if about_maps else []
    return [*of_predictions, *maps, *of_features, *OF_TESTS]
