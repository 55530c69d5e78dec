"""Cells that are ready to be measured, with a small network and a loaded domain."""

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.backbones import backbone_entry
from hf_sslgen.study.execution.workbench import backbone_facts
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.prepared_cell import PreparedCell
from hf_sslgen.study.protocols.presets import Protocol


def prepared_cell(
    location: str,
    domain: Domain,
    protocol: Protocol | None,
    seed: int = 0,
    analysis: AnalysisSettings | None = None,
    geometry: Geometry | None = None,
) -> PreparedCell:
    """The cell of a network under a protocol; its specification gives only the domain's name."""
    analysis = analysis or AnalysisSettings()
    arguments = DomainArguments(domain.name)
    spec = CellSpec(backbone_entry(location), arguments, "a protocol", protocol, seed, analysis, geometry)
    return PreparedCell(spec, backbone_facts(location, seed, geometry), domain)
