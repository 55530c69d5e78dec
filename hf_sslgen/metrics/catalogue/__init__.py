"""Declare each number in one row that serves results, comparisons, tables, cards and the glossary.

`metric` defines the content of a row. `accuracy_metrics`, `confidence_metrics`, `map_metrics` and `feature_metrics`
contain the rows, and `explanations` the glossary entries they refer to. `rows` finds a number's row and derives the
lists in which numbers appear. `measurement` runs the functions that rows name; `prediction_functions` contains those
of predictions.
"""
