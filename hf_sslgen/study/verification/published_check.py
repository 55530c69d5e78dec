"""Check a backbone: its tensors, its inputs and features without labels, and its accuracy beside published ones."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.analysis.preflight.preflight_report import PreflightReport
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.study.protocols.kinds import KNNProtocol, LinearProtocol
from hf_sslgen.study.verification.accuracy_verdict import Verdict, judge
from hf_sslgen.study.verification.frozen_accuracy import MeasuredAccuracy, measure_accuracies
from hf_sslgen.study.verification.measurement_differences import Difference, differences
from hf_sslgen.study.verification.published_numbers import PublishedNumber, published_numbers
from hf_sslgen.study.verification.tensor_count import TensorCount, count_tensors
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.backbone_registry import Backbone
from hf_sslgen.zoo.checkpoints import open_checkpoint
from hf_sslgen.zoo.weight_files import stored_tensors

UNLABELLED = ("first", "second")
"""Names of classes for a backbone that is loaded without labelled pictures; its classifier is not used."""


@dataclass(frozen=True)
class AccuracyCheck:
    """A measured accuracy beside a published one.

    Attributes:
        published: None if the registry knows none of this measure; then there are no differences and no verdict.
    """

    measured: MeasuredAccuracy
    published: PublishedNumber | None
    differences: tuple[Difference, ...]
    verdict: Verdict | None


@dataclass(frozen=True)
class BackboneCheck:
    """Everything that was found of a backbone.

    Attributes:
        row: its row in the registry, from which the published accuracies are; None if it has none.
        accuracies: empty without labelled pictures, or where the preflight found the backbone unusable.
    """

    name: str
    row: Backbone | None
    tensors: TensorCount
    preflight: PreflightReport
    domain: str | None
    accuracies: tuple[AccuracyCheck, ...]

    @property
    def failures(self) -> list[str]:
        """What is wrong, in words; empty if nothing was found."""
        failed = [
            f"{each.measured.measure} accuracy {each.verdict.sentence}"
            for each in self.accuracies
            if each.verdict is not None and each.verdict.status == "fail"
        ]
        wrong = [finding.sentence for finding in self.preflight.wrong]
        fewer = self.tensors.stored < self.tensors.architecture
        count = f"{self.tensors.stored} of {self.tensors.architecture} tensors are stored"
        return [*([count] if fewer else []), *wrong, *failed]

    def content(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {
            "backbone": self.name,
            "registered_as": None if self.row is None else self.row.id,
            "tensors": asdict(self.tensors),
            "preflight": {
                "inputs": self.preflight.inputs,
                "findings": [asdict(finding) for finding in self.preflight.findings],
            },
            "domain": self.domain,
            "accuracies": [asdict(each) for each in self.accuracies],
            "failures": self.failures,
        }


@dataclass(frozen=True)
class CheckProtocols:
    """How accuracies are measured.

    Attributes:
        knn: the first of its `neighbours` is used.
        linear: None leaves the linear probe out.
    """

    knn: KNNProtocol
    linear: LinearProtocol | None


def check_backbone(
    name: str,
    row: Backbone | None,
    domain_arguments: DomainArguments | None,
    protocols: CheckProtocols,
    settings: AnalysisSettings,
    image_size: int | None = None,
) -> BackboneCheck:
    """Check a backbone, with labelled pictures of its source if these are given.

    Args:
        name: as for `load_backbone`.
        row: the registry's row, which states the published accuracies.
        domain_arguments: the labelled pictures; None checks without labels only.
        image_size: side of the input in pixels instead of the backbone's own.

    Raises:
        InputError: the backbone or the pictures can't be loaded.
    """
    domain = None if domain_arguments is None else load_domain(domain_arguments)
    backbone = _load(name, domain, image_size)
    tensors = count_tensors(backbone.model, stored_tensors(open_checkpoint(name, None, with_weights=True).folder))
    report = preflight(backbone)
    accuracies: tuple[AccuracyCheck, ...] = ()
    if domain is not None and domain_arguments is not None and not report.wrong:
        own = backbone if image_size is None else _load(name, domain, None)
        sizes = (own.preprocessing.geometry.image_size, backbone.preprocessing.geometry.image_size)
        measured = measure_accuracies(backbone, domain, protocols.knn, protocols.linear, settings)
        accuracies = tuple(_checked(measured, row, domain, domain_arguments, protocols.knn, sizes))
    return BackboneCheck(name, row, tensors, report, None if domain is None else domain.name, accuracies)


def _load(name: str, domain: Domain | None, image_size: int | None) -> LoadedBackbone:
    if domain is None:
        return load_backbone(name, UNLABELLED, match="none", image_size=image_size)
    return load_backbone(name, domain.class_names, image_size=image_size)


def _checked(
    accuracies: list[MeasuredAccuracy],
    row: Backbone | None,
    domain: Domain,
    domain_arguments: DomainArguments,
    knn: KNNProtocol,
    sizes: tuple[int, int],
) -> Iterator[AccuracyCheck]:
    """Put each measured accuracy beside each published one of the same measure."""
    known = published_numbers(row)
    for measured in accuracies:
        same = [each for each in known if each.measure == measured.measure]
        for published in same:
            found = tuple(differences(measured, published, domain, domain_arguments, knn, *sizes))
            yield AccuracyCheck(measured, published, found, judge(measured, published, found))
        if not same:
            yield AccuracyCheck(measured, None, (), None)
