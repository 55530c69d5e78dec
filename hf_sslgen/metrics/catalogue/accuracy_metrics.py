"""The numbers of accuracy."""

from hf_sslgen.metrics.catalogue import explanations
from hf_sslgen.metrics.catalogue.metric import (
    Compared,
    Measured,
    Metric,
    Paired,
    Part,
    RecordColumn,
    Role,
    Subject,
    Table,
    share_words,
)
from hf_sslgen.metrics.catalogue.prediction_functions import of_accuracy, of_top_5

NAMED_OTHERWISE = "it is compared under the name of the accuracy it stands for"

ACCURACY_METRICS = (
    Metric(
        "headline_accuracy",
        share_words("Accuracy", "accuracy"),
        Part.ACCURACY,
        explanations.ACCURACY,
        better="higher",
        compared=NAMED_OTHERWISE,
        table=Table.NONE,
        role=Role.TESTED,
    ),
    Metric(
        "accuracy",
        share_words("Accuracy", "accuracy"),
        Part.ACCURACY,
        explanations.ACCURACY,
        better="higher",
        compared=Compared(Paired.SHARE),
        measured=Measured(Subject.PREDICTIONS, of_accuracy, "accuracy"),
        columns=(RecordColumn("correct", low=0.0, high=1.0),),
        table=Table.NONE,
        card_place=1,
    ),
    Metric(
        "mean_per_class_accuracy",
        share_words("Mean per-class accuracy", "mean per-class accuracy"),
        Part.ACCURACY,
        explanations.ACCURACY,
        better="higher",
        compared=Compared(Paired.CLASS_SHARE),
        measured=Measured(Subject.PREDICTIONS, of_accuracy, "mean_per_class_accuracy"),
        columns=(RecordColumn("correct", low=0.0, high=1.0),),
        card_place=2,
    ),
    Metric(
        "top_5_accuracy",
        share_words("Top-5 accuracy", "top-5 accuracy"),
        Part.ACCURACY,
        explanations.ACCURACY,
        better="higher",
        compared="accuracy is compared instead",
        measured=Measured(Subject.PREDICTIONS, of_top_5, "top_k_accuracy"),
        columns=(RecordColumn("top_5_credit", "per_sample_credit"),),
        card_place=3,
    ),
)
