"""One row per number: all that results, comparisons, tables, cards and the glossary have to know about it.

`metric` says what a row holds; `prediction_metrics`, `map_metrics` and `feature_metrics` are the rows; `rows` finds
them, and derives the lists in which numbers stand. `measurement` runs the functions that rows name.
"""
