"""Measure a cell: the pretrained stage, or a protocol of any kind."""

from pathlib import Path

from hf_sslgen.analysis.backbone_analysis import pretrained_analysis
from hf_sslgen.analysis.pass_shards import ALONE, Run
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.study.prepared_cell import Measured, PreparedCell
from hf_sslgen.study.protocols.finetuned import measure_finetuned
from hf_sslgen.study.protocols.presets import (
    FewShotProtocol,
    FineTuningProtocol,
    KNNProtocol,
    LinearProtocol,
    Protocol,
)
from hf_sslgen.study.protocols.probed import measure_few_shot, measure_knn, measure_linear, possible_neighbours
from hf_sslgen.training.few_shot import eligible_classes


def require_possible(protocol: Protocol | None, domain: Domain) -> None:
    """Raise InputError if a protocol can't be run on a domain, without computing anything."""
    if isinstance(protocol, KNNProtocol) and isinstance(domain.train, ImageSplit):
        possible_neighbours(domain, len(domain.train), protocol)
    elif isinstance(protocol, FewShotProtocol):
        eligible_classes(domain.test.labels, protocol.ways, protocol.shots, protocol.queries)


def measure(cell: PreparedCell, scratch: Path, run: Run = ALONE) -> Measured:
    """Measure a backbone on a domain under the cell's protocol or, without a protocol, its pretrained stage.

    Args:
        scratch: folder for training runs, which are not kept.
        run: how to run passes over images.

    Returns:
        The analysis, and what was selected (`selection.selection_record`; {} for the pretrained stage).

    Raises:
        InputError: the protocol can't be run on the domain.
        DivergedError: training diverged with every candidate.
    """
    protocol = cell.spec.protocol
    if protocol is None:
        return pretrained_analysis(cell.load(), cell.domain, cell.spec.analysis, run), {}
    if isinstance(protocol, LinearProtocol):
        return measure_linear(cell, protocol, run)
    if isinstance(protocol, KNNProtocol):
        return measure_knn(cell, protocol, run)
    if isinstance(protocol, FineTuningProtocol):
        return measure_finetuned(cell, protocol, scratch, run)
    return measure_few_shot(cell, protocol, run)
