"""The data on which estimators are tested, with a description of each kind.

The rules for intervals were chosen on populations like the first ten; those with few hard images, and the means, were
not used for this.
"""

from simulated.features import FeatureScenario
from simulated.maps import MapScenario
from simulated.means import MeanScenario
from simulated.populations import Shape
from simulated.predictions import PredictionScenario
from simulated.repetitions import Scenario
from simulated.targets import SHAPES, TargetScenario

_DESCRIBED: tuple[tuple[Scenario, str], ...] = (
    (
        PredictionScenario("calibrated", Shape(spread=3.0)),
        "10 classes, accuracy .66, calibrated, light-tailed likelihood.",
    ),
    (
        PredictionScenario("over-confident", Shape(spread=3.0, sharpness=3.0)),
        "The same predictions with logits three times as large: gap .22, heavy-tailed likelihood.",
    ),
    (
        PredictionScenario("imbalanced", Shape(spread=3.0, imbalance=10_000.0)),
        "10 classes of 37% down to 0.2% of the images, calibrated.",
    ),
    (
        PredictionScenario("100 classes", Shape(spread=5.0), num_classes=100, num_images=20_000),
        "Accuracy .65, calibrated: 200 samples contain 2 images per class.",
    ),
    (
        PredictionScenario("accuracy .9", Shape(spread=11.0, sharpness=2.0)),
        "10 classes, over-confident.",
    ),
    (
        PredictionScenario("accuracy .97", Shape(spread=40.0, sharpness=2.0)),
        "10 classes, over-confident: 200 samples contain 5 errors, and most confidences are above .999.",
    ),
    (
        PredictionScenario("accuracy .99", Shape(spread=110.0, sharpness=2.0)),
        "10 classes, over-confident: 200 samples contain 2 errors, 1,000 contain 10.",
    ),
    (
        PredictionScenario(
            "accuracy .9, saturated", Shape(spread=16.0, sharpness=3.0, tails=3.0, label_noise=0.03), seed=7
        ),
        "10 classes, 3% of labels redrawn: some predictions with a confidence of exactly 1 are wrong.",
    ),
    (
        PredictionScenario(
            "accuracy .97, saturated", Shape(spread=60.0, sharpness=3.0, tails=3.0, label_noise=0.012), seed=7
        ),
        "The same with 1.2% of labels redrawn.",
    ),
    (
        PredictionScenario(
            "accuracy .99, saturated", Shape(spread=250.0, sharpness=3.0, tails=3.0, label_noise=0.005), seed=7
        ),
        "The same with 0.5% of labels redrawn.",
    ),
    (
        PredictionScenario(
            "accuracy .9, few hard", Shape(spread=60.0, sharpness=1.5, hard=0.19), num_classes=5, seed=9
        ),
        "5 classes; a fifth of the images decides the numbers.",
    ),
    (
        PredictionScenario(
            "accuracy .97, few hard", Shape(spread=60.0, sharpness=1.5, hard=0.055), num_classes=5, seed=9
        ),
        "The same, but 5.5% of the images decide them.",
    ),
    (
        PredictionScenario(
            "accuracy .99, few hard", Shape(spread=150.0, sharpness=1.5, hard=0.018), num_classes=5, seed=9
        ),
        "The same, but 1.8% of the images decide them.",
    ),
    (MeanScenario("any mean"), "Several distributions of values, some skewed and some with a few outliers."),
    (MapScenario("sharp maps", width=0.1, noise=0.05, zero_map_rate=0.02), "7 x 7, small blobs; 2% zero maps."),
    (MapScenario("diffuse maps", width=0.25, noise=0.3, zero_map_rate=0.3), "7 x 7, wide blobs; 30% zero maps."),
    (
        FeatureScenario("isotropic features", offset=0.0, decay=0.0),
        "32 independent features of mean zero and equal variance.",
    ),
    (
        FeatureScenario("anisotropic features", offset=3.0, decay=0.75),
        "32 features of falling variance around a large mean: chance cosine .8.",
    ),
    (
        FeatureScenario("anisotropic features, strong transforms", offset=3.0, decay=0.75, kept=0.25),
        "The same with transforms that keep little of the image.",
    ),
    *(
        (
            TargetScenario(f"targets: {shape}, variation {ratio:g}", shape, ratio),
            f"Differences on targets are {shape}; those on targets of the second kind vary {ratio:g} times as much.",
        )
        for shape in SHAPES
        for ratio in (1.0, 4.0)
    ),
)

SCENARIOS: dict[str, tuple[Scenario, str]] = {scenario.name: (scenario, said) for scenario, said in _DESCRIBED}
"""Scenarios and their descriptions, by name."""
