"""All figures of a report, gathered from the modules that draw them.

Each function also takes a single backbone, as an analysis of one checkpoint has it.
"""

from hf_sslgen.reporting.charts import accuracy_bars, invariance_by_transform
from hf_sslgen.reporting.concentration import concentration_of_records
from hf_sslgen.reporting.figure_style import backbone_styles, figure_data_uri, figure_png, figure_svg
from hf_sslgen.reporting.overlays import attribution_overlays
from hf_sslgen.reporting.reliability import reliability_before_and_after, reliability_diagrams
from hf_sslgen.reporting.risk_coverage import risk_coverage_of_records
from hf_sslgen.reporting.severity import invariance_by_severity_of_numbers

__all__ = [
    "accuracy_bars",
    "attribution_overlays",
    "backbone_styles",
    "concentration_of_records",
    "figure_data_uri",
    "figure_png",
    "figure_svg",
    "invariance_by_severity_of_numbers",
    "invariance_by_transform",
    "reliability_before_and_after",
    "reliability_diagrams",
    "risk_coverage_of_records",
]
