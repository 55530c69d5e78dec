"""The standard figures of the measurements, also for use outside studies.

Each function takes a mapping from names to arrays or to results of `hf_sslgen.metrics` with at least one entry, and
returns a `matplotlib.figure.Figure`; `figure.savefig("name.png")` writes it. The caller's styles, backend and windows
are unaffected. Input that can't be drawn raises a ValueError.
"""

from hf_sslgen.reporting.figures.concentration_distributions import concentration_distribution
from hf_sslgen.reporting.figures.figure_style import BackboneStyle, backbone_styles
from hf_sslgen.reporting.figures.reliability_diagrams import reliability_diagram
from hf_sslgen.reporting.figures.risk_coverage_curves import risk_coverage_curves
from hf_sslgen.reporting.figures.severity_curves import invariance_by_severity

__all__ = [
    "BackboneStyle",
    "backbone_styles",
    "concentration_distribution",
    "invariance_by_severity",
    "reliability_diagram",
    "risk_coverage_curves",
]
