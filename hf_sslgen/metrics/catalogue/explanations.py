"""What the numbers mean in plain words: the entries of a page's glossary that rows of the catalogue refer to.

Several numbers that are read together share an entry.
"""

from hf_sslgen.metrics.catalogue.metric import Explanation

ACCURACY = Explanation(
    "Accuracy",
    "Share of test images whose most probable class is the true one. Where a domain is judged by mean per-class "
    "accuracy, accuracy is taken within each class first and then averaged, so that rare classes count as much.",
)

CONFIDENCE = Explanation(
    "Mean confidence, confidence gap",
    "Confidence is the largest softmax probability of an image. The gap is mean confidence minus accuracy: "
    "positive where the model is over-confident, negative where it is under-confident. Zero is calibrated on "
    "average, so neither a higher nor a lower gap is better as such.",
)

EXPECTED_CALIBRATION = Explanation(
    "Expected calibration error (ECE)",
    "Distance between confidence and accuracy, averaged over 15 bins of equal width. It is descriptive only: it "
    "is biased upward and a bootstrap interval around it does not cover, so it has none, and no verdict rests on "
    "it. Read it against “ECE if calibrated”, what a perfectly calibrated model with these confidences would get "
    "on average.",
)

FURTHER_CALIBRATION = Explanation(
    "Further calibration errors",
    "Of the same bins: the root mean square and the largest bin. Adaptive ECE has bins of equal size. The KS "
    "error is the largest gap between cumulated confidence and cumulated correctness and needs no bins. The "
    "debiased squared error, of bins of equal size too, leaves out what chance adds: 0 on average for a "
    "calibrated model, and negative half of the time. They stand among the further numbers and in results.csv.",
)

RANKING = Explanation(
    "AUROC of confidence, AURC",
    "Whether confidence tells right from wrong. AUROC is the chance that a right one is more confident than "
    "a wrong one, ties counted half. AURC is the error rate averaged over all shares of most confident images, "
    "excess AURC its distance from the best order of the same predictions. AURC depends on accuracy, and excess "
    "AURC less so: compare both at similar accuracies. Lower is better for both.",
)

PROPER_SCORES = Explanation(
    "Brier score, negative log-likelihood (NLL)",
    "Proper scores of the whole predicted distribution: lower is better. They reward being right and being honest "
    "about confidence together, and carry the inference about confidence. NLL stands in results.csv and among the "
    "paired differences. The top-label Brier score is that of confidence alone.",
)

TEMPERATURE = Explanation(
    "Temperature, numbers after temperature scaling",
    "Logits divided by one number, the temperature, fitted by NLL on validation images that the classifier has "
    "not learned from, and then scored on the test images: above 1 it lowers confidence. No prediction changes, "
    "so accuracy stays. What remains of a difference after it is not owed to overall over- or under-confidence. "
    "Where no validation image was left over, there is none.",
)

CONCENTRATION = Explanation(
    "Gini, spatial spread, maps without positive evidence",
    "Of attribution maps, on the own grid of the layer they are taken at. Gini is 0 where the "
    "positive evidence is even and near 1 where few cells hold it all; spread is 1 where it lies as far apart as "
    "in an even map, near 0 where it lies in one place. Neither has a better direction: a concentrated map may "
    "rest on the object or on a watermark. A map without any positive evidence has neither number and is counted "
    "apart.",
)

FURTHER_CONCENTRATION = Explanation(
    "Effective area, participation ratio, mass and area shares, entropy",
    "Other views of the same concentration: the share of the map that an even map of equal entropy, or of equal "
    "squares, would fill; how much the strongest tenth holds; which share holds 80%. Entropy grows with the grid. "
    "They mostly order maps alike, but not always: a single strong cell above an even background raises the "
    "strongest tenth more than Gini. None has a better direction.",
)

LOCALIZATION = Explanation(
    "Lift, mass on the object, pointing game",
    "Where a domain marks objects by boxes or masks. Mass is the share of an image’s positive evidence that lies "
    "on its object; lift is mass divided by the share of the image that the object takes. 1 is chance, and "
    "higher is better: of all numbers of attribution only these have a direction, because they alone are held "
    "against the truth. The pointing game asks whether the strongest cell lies on the object. An image without an "
    "object, or whose map has no positive evidence, is left out and counted.",
)

REINITIALISED = Explanation(
    "Re-initialised control",
    "The same numbers of the same architecture with all weights drawn afresh. What the control reaches is owed to "
    "architecture and method. Lift over the control is the mean difference, image by image. Rank correlation and "
    "SSIM say how alike the two maps of an image are (Adebayo et al. 2018): Spearman’s correlation of the cells, "
    "and structural similarity in windows of up to 7 cells squared, of absolute values divided by the map’s "
    "largest, on the layer’s own grid. Equal maps score 1; maps that stay alike with nothing learned say nothing "
    "about what was learned. Unrelated maps do not score 0 where both lean to the centre. An image with a map "
    "that is zero everywhere is left out and counted.",
)

INVARIANCE = Explanation(
    "Invariance, recall@1",
    "How near the representation of a transformed image stays to that of its original. The cosine is corrected "
    "for chance, the cosine between different images: 0 is chance, 1 is an unchanged representation. Recall@1 is "
    "how often an original finds its own transformed version first among at most 256. The headline is the "
    "published encoder before any training on the domain; after fine-tuning the same number also measures how "
    "tightly classes cluster.",
)

FURTHER_INVARIANCE = Explanation(
    "Distance invariance, rank AUC, linear CKA, same prediction",
    "By transform: invariance of squared distances instead of cosines; how often an original is nearer to its own "
    "transformed version than to another image’s (0.5 by chance); how alike the geometry of all representations "
    "stays; and, after fine-tuning, how often the prediction stays, and Cohen’s kappa, the same beyond chance. "
    "Severities in pixels are those of a 224-pixel image and scale with the side: that of blur is its standard "
    "deviation, that of elastic transforms the root mean square of how far pixels move.",
)

REAL_PAIRS = Explanation(
    "Real pairs",
    "Where a domain says which images show the same object, burst or patient, another picture of it takes the "
    "place of a transformed version. Its invariance is in no mean over transforms.",
)

GUARDS = Explanation(
    "Effective rank of the covariance, RankMe, dead dimensions",
    "Guards: how many directions the features use, and the share of feature dimensions that never vary. The "
    "effective rank of the covariance weighs directions by their variance. RankMe weighs them by the square root "
    "of that and takes features as they are, with their mean: it is larger, and grows with the number of images. "
    "An encoder whose covariance has an effective rank below 2 (10 images or more) has collapsed onto one "
    "direction, and its high invariance means nothing. Few but several directions are not called collapsed: there "
    "recall@1 is low.",
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
