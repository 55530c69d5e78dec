"""Explain the numbers in plain words: the glossary entries of a page, to which the catalogue's rows refer.

Numbers that are read together share an entry.
"""

from hf_sslgen.metrics.catalogue.metric import Explanation

ACCURACY = Explanation(
    "Accuracy",
    "Share of test images whose most probable class is the true class. In a domain judged by mean per-class "
    "accuracy, it is computed within each class and then averaged. So rare classes count as much as common ones.",
)

CONFIDENCE = Explanation(
    "Mean confidence, confidence gap",
    "Confidence is the largest softmax probability of an image. The gap is mean confidence minus accuracy: "
    "positive if the model is over-confident, negative if it is under-confident. Zero means calibrated on "
    "average, so neither a higher nor a lower gap is better in itself.",
)

EXPECTED_CALIBRATION = Explanation(
    "Expected calibration error (ECE)",
    "Distance between confidence and accuracy, averaged over 15 bins of equal width. It is only descriptive: it "
    "is biased upward, and a bootstrap interval would not reach its nominal coverage. So it has no interval and "
    "supports no verdict. Compare it with “ECE if calibrated”: the average ECE of a perfectly calibrated model "
    "with these confidences.",
)

FURTHER_CALIBRATION = Explanation(
    "Further calibration errors",
    "Over the same bins: the root mean square error and the error of the worst bin. Adaptive ECE uses bins of equal "
    "size. The KS error is the largest gap between cumulative confidence and cumulative correctness, without bins. "
    "The debiased squared error removes the contribution of chance, over bins of equal size. For a calibrated "
    "model it is 0 on average, and negative half of the time. They are among the further numbers and in results.csv.",
)

RANKING = Explanation(
    "AUROC of confidence, AURC",
    "Whether confidence separates right predictions from wrong ones. AUROC is the probability that a right prediction "
    "is more confident than a wrong one, with ties counted half. AURC is the error rate averaged over all shares of "
    "most confident images. Excess AURC is its distance from the AURC of the best order of the same predictions. AURC "
    "depends on accuracy, and excess AURC less so: compare both at similar accuracies. Lower is better for both.",
)

PROPER_SCORES = Explanation(
    "Brier score, negative log-likelihood (NLL)",
    "Proper scores of the whole predicted distribution: lower is better. They reward both correct predictions and "
    "honest confidence, and conclusions about confidence rest on them. NLL is in results.csv and among the paired "
    "differences. The top-label Brier score uses only the confidence.",
)

TEMPERATURE = Explanation(
    "Temperature, numbers after temperature scaling",
    "Logits are divided by one number, the temperature, and then scored on the test images. It is fitted by NLL on "
    "validation images that the classifier did not learn from. A temperature above 1 lowers confidence. Predictions "
    "and accuracy are unchanged. A difference that remains after scaling is not due to overall over- or "
    "under-confidence. Without spare validation images, there is no temperature.",
)

CONCENTRATION = Explanation(
    "Gini, spatial spread, maps without positive evidence",
    "Computed from attribution maps on the grid of their layer. Gini is 0 if the positive evidence is even and near 1 "
    "if a few cells hold all of it. Spread is 1 if the evidence is as far apart as in an even map. It is near 0 if it "
    "is all in one place. For neither is higher or lower better: a concentrated map may focus on the object or on a "
    "watermark. A map without any positive evidence has neither number and is counted separately.",
)

FURTHER_CONCENTRATION = Explanation(
    "Effective area, participation ratio, mass and area shares, entropy",
    "Other measures of concentration. Effective area is the share of the map that an even map with equal entropy "
    "would fill. Participation ratio is the same for an equal sum of squares. The mass share is that of the evidence "
    "in the strongest tenth of cells. The area share is that of the cells that hold 80% of it. Entropy grows with the "
    "grid. They mostly rank maps alike, but not always. A single strong cell above an even background raises the "
    "strongest tenth more than Gini. None has a better direction.",
)

LOCALIZATION = Explanation(
    "Lift, mass on the object, pointing game",
    "For domains that mark objects with boxes or masks. Mass is the share of an image’s positive evidence that lies "
    "on its object. Lift is mass divided by the share of the image that the object covers. A lift of 1 is chance, and "
    "higher is better. These are the only attribution numbers with a better direction, because only they are compared "
    "with the truth. The pointing game checks whether the strongest cell lies on the object. Images without an object "
    "or without positive evidence are left out and counted.",
)

REINITIALISED = Explanation(
    "Re-initialised control",
    "The same numbers for the same architecture with all weights re-initialised. What the control reaches is due to "
    "architecture and method. Lift over the control is the mean difference, image by image. Rank correlation and SSIM "
    "measure how similar the two maps of an image are (Adebayo et al. 2018). Rank correlation is Spearman’s, over the "
    "cells. SSIM is structural similarity in windows of up to 7 × 7 cells. Both are of absolute values divided by the "
    "map’s maximum, on the layer’s own grid. Equal maps score 1. If maps stay similar when nothing was learned, they "
    "say nothing about what was learned. Unrelated maps do not score 0 if both favour the centre. Images with an "
    "all-zero map are left out and counted.",
)

INVARIANCE = Explanation(
    "Invariance, recall@1",
    "How close the representation of a transformed image stays to that of its original. The cosine is corrected "
    "for chance, the cosine between different images: 0 is chance, 1 is an unchanged representation. Recall@1 is "
    "how often the transformed version closest to an original is its own, among at most 256. The headline number is "
    "for the published encoder before any training on the domain. After fine-tuning, it also measures how tightly "
    "classes cluster.",
)

FURTHER_INVARIANCE = Explanation(
    "Distance invariance, rank AUC, linear CKA, same prediction",
    "Further numbers by transform. Distance invariance is that of squared distances instead of cosines. Rank AUC is "
    "how often an original is closer to its own transformed version than to another image’s (0.5 by chance). Linear "
    "CKA is how similar the geometry of all representations stays. After fine-tuning, same prediction is how often it "
    "stays, and Cohen’s kappa its agreement beyond chance. Severities in pixels refer to a 224-pixel image and scale "
    "with the side. For blur it is the standard deviation, for elastic transforms the root-mean-square displacement "
    "of pixels.",
)

REAL_PAIRS = Explanation(
    "Real pairs",
    "Some domains state which images show the same object, burst or patient. Another picture of it then replaces the "
    "transformed version. This invariance is not part of any mean over transforms.",
)

GUARDS = Explanation(
    "Effective rank of the covariance, RankMe, dead dimensions",
    "Guards: how many directions the features use, and the share of feature dimensions that never vary. The "
    "effective rank of the covariance weights directions by their variance. RankMe weights them by its square root "
    "and does not subtract the mean of the features. It is larger, and grows with the number of images. "
    "With 10 images or more, an effective rank of the covariance below 2 means collapse onto one direction. The high "
    "invariance of such an encoder means nothing. A few directions do not count as collapse, but lower recall@1.",
)

OF_PREDICTIONS = (
    ACCURACY,
    CONFIDENCE,
    EXPECTED_CALIBRATION,
    FURTHER_CALIBRATION,
    RANKING,
    PROPER_SCORES,
    TEMPERATURE,
)
OF_MAPS = (CONCENTRATION, FURTHER_CONCENTRATION, LOCALIZATION, REINITIALISED)
OF_FEATURES = (INVARIANCE, FURTHER_INVARIANCE, REAL_PAIRS, GUARDS)
