"""The numbers of features: invariance to transforms, and the guards against collapse."""

import math

import numpy as np

from hf_sslgen.metrics.catalogue import explanations
from hf_sslgen.metrics.catalogue.metric import (
    Compared,
    Measured,
    Metric,
    MetricWords,
    Paired,
    Part,
    RecordColumn,
    Role,
    Rows,
    Subject,
    Table,
    share_words,
)
from hf_sslgen.metrics.comparison import invariance_values
from hf_sslgen.metrics.consistency import prediction_consistency
from hf_sslgen.metrics.guards import GuardsResult, representation_guards
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.invariance import invariance
from hf_sslgen.metrics.similarity import debiased_linear_cka
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE

SIMILARITY_COLUMNS = ("cosine", "chance_cosine", "candidate_chance_cosine")


def _invariance_values(rows: Rows) -> FloatArray:
    """Return invariance per image; after fine-tuning, chance pairs are drawn within a class."""
    is_tuned = bool(np.all(np.asarray(rows["stage"]) == FINE_TUNED_STAGE))
    cosine, chance, candidate_chance = (rows[name] for name in SIMILARITY_COLUMNS)
    return invariance_values(cosine, chance, candidate_chance, rows.get("reference") if is_tuned else None)


def _collapsed(result: GuardsResult) -> float:
    """Return 1 if the encoder has collapsed and 0 if not; NaN with too few images to tell."""
    return math.nan if result.reason else float(result.collapsed)


IN_PARTS = "invariance, which is computed from it, is compared instead"
BY_TRANSFORM = "it is shown only by transform"
OF_ALL_IMAGES = "it is computed from all images together rather than as a mean over them"

FEATURE_METRICS = (
    Metric(
        "invariance",
        MetricWords("Invariance", "chance-corrected invariance"),
        Part.INVARIANCE,
        explanations.INVARIANCE,
        better=None,
        compared=Compared(Paired.MEAN, SIMILARITY_COLUMNS, _invariance_values),
        measured=Measured(Subject.TRANSFORMED, invariance, "invariance"),
        table=Table.MEASUREMENTS,
        role=Role.TESTED,
        terminal_title="inv.",
    ),
    Metric(
        "cosine",
        MetricWords("Raw cosine", "raw cosine similarity"),
        Part.INVARIANCE,
        explanations.INVARIANCE,
        better=None,
        compared=IN_PARTS,
        measured=Measured(Subject.TRANSFORMED, invariance, "cosine"),
        columns=(RecordColumn("cosine", low=-1.0, high=1.0),),
        is_column_mean=True,
        table=Table.TRANSFORMS,
    ),
    Metric(
        "chance_cosine",
        MetricWords("Chance cosine", "chance cosine similarity"),
        Part.INVARIANCE,
        explanations.INVARIANCE,
        better=None,
        compared=IN_PARTS,
        measured=Measured(Subject.TRANSFORMED, invariance, "chance_cosine"),
        columns=(
            RecordColumn("chance_cosine", low=-1.0, high=1.0),
            RecordColumn("candidate_chance_cosine", low=-1.0, high=1.0),
        ),
        table=Table.TRANSFORMS,
    ),
    Metric(
        "distance_invariance",
        MetricWords("Distance invariance", "chance-corrected invariance of distances"),
        Part.INVARIANCE,
        explanations.FURTHER_INVARIANCE,
        better=None,
        compared=BY_TRANSFORM,
        measured=Measured(Subject.TRANSFORMED, invariance, "distance_invariance"),
        columns=(RecordColumn("relative_distance"),),
        table=Table.TRANSFORMS,
    ),
    Metric(
        "recall_at_1",
        share_words("Recall@1", "recall@1"),
        Part.INVARIANCE,
        explanations.INVARIANCE,
        better=None,
        compared=Compared(Paired.SHARE),
        measured=Measured(Subject.TRANSFORMED, invariance, "recall_at_1"),
        columns=(RecordColumn("recall_at_1", low=0.0, high=1.0),),
        is_column_mean=True,
        table=Table.MEASUREMENTS,
        role=Role.SHOWN,
        terminal_title="r@1 %",
    ),
    Metric(
        "rank_auc",
        MetricWords("Rank AUC", "rank AUC of retrieval"),
        Part.INVARIANCE,
        explanations.FURTHER_INVARIANCE,
        better=None,
        compared=BY_TRANSFORM,
        measured=Measured(Subject.TRANSFORMED, invariance, "rank_auc"),
        columns=(RecordColumn("rank_auc"),),
        is_column_mean=True,
        table=Table.TRANSFORMS,
    ),
    Metric(
        "linear_cka",
        MetricWords("Linear CKA", "debiased linear CKA", signed=True),
        Part.INVARIANCE,
        explanations.FURTHER_INVARIANCE,
        better=None,
        compared=OF_ALL_IMAGES,
        measured=Measured(Subject.CHANGED_FEATURES, debiased_linear_cka, "linear_cka"),
        table=Table.TRANSFORMS,
    ),
    Metric(
        "prediction_consistency",
        share_words("Same prediction", "share of images whose prediction stays the same"),
        Part.INVARIANCE,
        explanations.FURTHER_INVARIANCE,
        better=None,
        compared=BY_TRANSFORM,
        measured=Measured(Subject.CHANGED_PREDICTIONS, prediction_consistency, "prediction_consistency"),
        columns=(RecordColumn("consistent"),),
        table=Table.TRANSFORMS,
    ),
    Metric(
        "kappa",
        MetricWords("Cohen’s kappa", "Cohen’s kappa of the predictions", signed=True),
        Part.INVARIANCE,
        explanations.FURTHER_INVARIANCE,
        better=None,
        compared=OF_ALL_IMAGES,
        measured=Measured(Subject.CHANGED_PREDICTIONS, prediction_consistency, "kappa"),
        table=Table.TRANSFORMS,
    ),
    Metric(
        "covariance_effective_rank",
        MetricWords("Effective rank of the covariance", "effective rank of the features’ covariance", decimals=1),
        Part.INVARIANCE,
        explanations.GUARDS,
        better=None,
        compared=OF_ALL_IMAGES,
        measured=Measured(Subject.ENCODER, representation_guards, "covariance_effective_rank"),
        table=Table.MEASUREMENTS,
    ),
    Metric(
        "rankme",
        MetricWords("RankMe", "RankMe of the features", decimals=1),
        Part.INVARIANCE,
        explanations.GUARDS,
        better=None,
        compared=OF_ALL_IMAGES,
        measured=Measured(Subject.ENCODER, representation_guards, "rankme"),
        table=Table.MEASUREMENTS,
    ),
    Metric(
        "dead_dimension_share",
        share_words("Dead dimensions", "share of dead feature dimensions"),
        Part.INVARIANCE,
        explanations.GUARDS,
        better=None,
        compared=OF_ALL_IMAGES,
        measured=Measured(Subject.ENCODER, representation_guards, "dead_dimension_share"),
        table=Table.NONE,
    ),
    Metric(
        "collapsed",
        MetricWords("collapsed", "collapsed"),
        Part.INVARIANCE,
        explanations.GUARDS,
        better=None,
        compared=OF_ALL_IMAGES,
        measured=Measured(Subject.ENCODER, representation_guards, _collapsed),
        table=Table.NONE,
    ),
)
