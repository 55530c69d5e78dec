"""One row per number: all that results, comparisons, tables, cards and the glossary have to know about it.

`metric` says what a row holds. `accuracy_metrics`, `confidence_metrics`, `map_metrics` and `feature_metrics` are the
rows, and `explanations` the glossary's entries they refer to. `rows` finds a number's row and derives the lists in
which numbers stand. `measurement` runs the functions that rows name; those of predictions are `prediction_functions`.
"""
