"""The data on which estimators are judged, and what is special about each kind."""

from simulated.features import FeatureScenario
from simulated.maps import MapScenario
from simulated.predictions import PredictionScenario
from simulated.repetitions import Scenario
from simulated.targets import SHAPES, TargetScenario

_DESCRIBED: tuple[tuple[Scenario, str], ...] = (
    (
        PredictionScenario("calibrated", spread=3.0, sharpness=1.0),
        "10 classes, accuracy .66, calibrated, light-tailed likelihood.",
    ),
    (
        PredictionScenario("over-confident", spread=3.0, sharpness=3.0),
        "The same predictions with logits three times as large: gap .22, heavy-tailed likelihood.",
    ),
    (
        PredictionScenario("imbalanced", spread=3.0, sharpness=1.0, imbalance=10_000.0),
        "10 classes of 37% down to 0.2% of the images, calibrated.",
    ),
    (
        PredictionScenario("nearly all right", spread=100.0, sharpness=1.5),
        "10 classes, accuracy .99, slightly over-confident: 200 samples hold 2 errors, 1,000 hold 11.",
    ),
    (
        PredictionScenario("100 classes", spread=5.0, sharpness=1.0, num_classes=100, num_images=20_000),
        "Accuracy .65, calibrated: 200 samples hold 2 images a class.",
    ),
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
        "The same where little of an image is kept.",
    ),
    *(
        (
            TargetScenario(f"targets: {shape}, variation {ratio:g}", shape, ratio),
            f"Differences on targets are {shape}; those of the second kind vary {ratio:g} times as much.",
        )
        for shape in SHAPES
        for ratio in (1.0, 4.0)
    ),
)

SCENARIOS: dict[str, tuple[Scenario, str]] = {scenario.name: (scenario, said) for scenario, said in _DESCRIBED}
"""By name, with a description."""
