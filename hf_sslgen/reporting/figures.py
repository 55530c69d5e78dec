"""All figures of a report, gathered from the modules that draw them.

Each function also takes a single backbone, as an analysis of one checkpoint has it.
"""

from hf_sslgen.reporting.charts import accuracy_bars, invariance_by_transform
from hf_sslgen.reporting.figure_style import backbone_styles, figure_data_uri, figure_png, figure_svg
from hf_sslgen.reporting.overlays import attribution_overlays
from hf_sslgen.reporting.reliability import reliability_diagrams

__all__ = [
    "accuracy_bars",
    "attribution_overlays",
    "backbone_styles",
    "figure_data_uri",
    "figure_png",
    "figure_svg",
    "invariance_by_transform",
    "reliability_diagrams",
]
