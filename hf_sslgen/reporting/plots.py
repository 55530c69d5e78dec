"""The standard pictures of the measurements, for use outside studies too.

Each function takes a mapping from names to arrays or to results of `hf_sslgen.metrics`, one entry or several, and
returns a `matplotlib.figure.Figure`; `figure.savefig("name.png")` writes it. No style, backend or window of the caller
changes. Input that can't be drawn raises a ValueError.
"""

from hf_sslgen.reporting.concentration import concentration_distribution
from hf_sslgen.reporting.figure_style import BackboneStyle, backbone_styles
from hf_sslgen.reporting.reliability import reliability_diagram
from hf_sslgen.reporting.risk_coverage import risk_coverage_curves
from hf_sslgen.reporting.severity import invariance_by_severity

__all__ = [
    "BackboneStyle",
    "backbone_styles",
    "concentration_distribution",
    "invariance_by_severity",
    "reliability_diagram",
    "risk_coverage_curves",
]
