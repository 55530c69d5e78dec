"""How a cell is measured: the pretrained stage, or a protocol of one of the kinds."""

from hf_sslgen.analysis.backbone_analysis import pretrained_analysis
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.study.execution.job import Job, Measured, positional
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

__all__ = ["Job", "Measured", "measure", "require_possible"]


def measure_pretrained(job: Job) -> Measured:
    """Invariance of the encoder as published."""
    return pretrained_analysis(job.load(), job.domain, job.analysis, job.run), {}


def require_possible(protocol: Protocol | None, domain: Domain) -> None:
    """Raise InputError where a protocol can't be run on a domain, without computing anything."""
    if isinstance(protocol, KNNProtocol):
        possible_neighbours(domain, protocol)
    elif isinstance(protocol, FewShotProtocol):
        eligible_classes(domain.test.labels, protocol.ways, protocol.shots, protocol.queries)
    elif isinstance(protocol, LinearProtocol):
        positional(domain)


def measure(job: Job) -> Measured:
    """Measure a backbone on a domain under the job's protocol; without one, its pretrained stage.

    Returns:
        The analysis, and what was selected (`selection.selection_record`; {} for the pretrained stage).

    Raises:
        InputError: a domain that the protocol can't be run on.
        DivergedError: training diverged with every candidate.
    """
    protocol = job.protocol
    if protocol is None:
        return measure_pretrained(job)
    if isinstance(protocol, LinearProtocol):
        return measure_linear(job, protocol)
    if isinstance(protocol, KNNProtocol):
        return measure_knn(job, protocol)
    if isinstance(protocol, FineTuningProtocol):
        return measure_finetuned(job, protocol)
    return measure_few_shot(job, protocol)
