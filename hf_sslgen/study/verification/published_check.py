"""Check a backbone: its tensors, a few pictures through it, and its accuracy against the published one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.network import place
from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.analysis.preflight.preflight_report import PreflightReport
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.study.protocols.kinds import KNNProtocol, LinearProtocol
from hf_sslgen.study.verification.accuracy_verdict import Verdict, judge
from hf_sslgen.study.verification.frozen_accuracy import MeasuredAccuracy, measure_accuracies
from hf_sslgen.study.verification.published_differences import differences
from hf_sslgen.study.verification.published_numbers import PublishedNumber, published_numbers
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.backbone_registry import Backbone
from hf_sslgen.zoo.checkpoints import open_checkpoint
from hf_sslgen.zoo.weight_files import stored_tensors

COUNTER = ".num_batches_tracked"
"""Tensors of batch normalisation that no output depends on."""


@dataclass(frozen=True)
class TensorCount:
    """Tensors of the trunk, counters of batch normalisation aside: in the checkpoint, and of the architecture."""

    stored: int
    architecture: int


@dataclass(frozen=True)
class CheckedAccuracy:
    """A measured accuracy, a published one if there is any, and what follows."""

    measured: MeasuredAccuracy
    published: PublishedNumber | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Verification:
    """What was found of a backbone.

    Attributes:
        weights: identity of the weights, as in `LoadedBackbone`.
        num_parameters: of the trunk, as loaded.
        other_size: says that these are not as many as the registry states; "" if they are, or nothing is registered.
        data: the labelled domain; None if none was given.
    """

    backbone: str
    weights: str
    tensors: TensorCount
    num_parameters: int
    other_size: str
    preflight: PreflightReport
    data: str | None
    accuracies: tuple[CheckedAccuracy, ...]

    @property
    def failures(self) -> list[str]:
        """What makes the check fail, one sentence each."""
        of_preflight = [finding.sentence for finding in self.preflight.wrong]
        return (
            [self.other_size] * bool(self.other_size)
            + of_preflight
            + [
                f"{each.measured.measure} accuracy is {each.verdict.sentence}"
                for each in self.accuracies
                if each.verdict is not None and each.verdict.status == "fail"
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self)


def verify(
    name: str,
    row: Backbone | None,
    arguments: DomainArguments | None,
    knn: KNNProtocol | None,
    linear: LinearProtocol | None,
    settings: AnalysisSettings,
    image_size: int | None = None,
) -> Verification:
    """Check a backbone.

    Args:
        name: as for `load_backbone`.
        row: its row of the registry, whose published accuracies it is held against.
        arguments: a labelled domain; None measures no accuracy.
        knn: None takes k and temperature of the published number, or k = 20 and 0.07 if there is none.
        linear: None leaves it out.
        image_size: side of the input in pixels; None is the backbone's own.

    Raises:
        InputError: the backbone or the domain can't be loaded.
    """
    domain = None if arguments is None else load_domain(arguments)
    classes = ("first", "second") if domain is None else domain.class_names
    own = load_backbone(name, classes, match="none" if domain is None else None)
    backbone = own if image_size is None else load_backbone(name, classes, image_size=image_size)
    report = preflight(backbone)
    accuracies: Sequence[CheckedAccuracy] = ()
    if domain is not None and arguments is not None and not report.wrong:
        sizes = own.preprocessing.geometry.image_size, backbone.preprocessing.geometry.image_size
        accuracies = _checked(backbone, row, domain, arguments, knn, linear, settings, sizes)
    return Verification(
        backbone=name,
        weights=backbone.weights,
        tensors=count_tensors(name, backbone),
        num_parameters=backbone.num_parameters,
        other_size=_other_size(backbone, row),
        preflight=report,
        data=None if domain is None else domain.name,
        accuracies=tuple(accuracies),
    )


def _other_size(backbone: LoadedBackbone, row: Backbone | None) -> str:
    if row is None or row.is_of_size(backbone.num_parameters):
        return ""
    return (
        f"it has {backbone.num_parameters:,} parameters, and the registry states {row.parameters:,} for {row.id}, so "
        "it is another network"
    )


def count_tensors(name: str, backbone: LoadedBackbone) -> TensorCount:
    """Count the trunk's tensors in the checkpoint's files, and those of its architecture."""
    folder = open_checkpoint(name, None, with_weights=True).folder
    classifier, _ = find_classifier(backbone.model)
    within = (f"{classifier}.", f"{classifier.removeprefix('timm_model.')}.")

    def of_trunk(names: Sequence[str]) -> int:
        return sum(not each.startswith(within) and not each.endswith(COUNTER) for each in names)

    return TensorCount(of_trunk(list(stored_tensors(folder))), of_trunk(list(backbone.model.state_dict())))


def _checked(
    backbone: LoadedBackbone,
    row: Backbone | None,
    domain: Domain,
    arguments: DomainArguments,
    knn: KNNProtocol | None,
    linear: LinearProtocol | None,
    settings: AnalysisSettings,
    sizes: tuple[int, int],
) -> list[CheckedAccuracy]:
    """Measure and judge; `sizes` are the sides of the backbone's own input and of the one used."""
    place(backbone)
    published: dict[str, PublishedNumber] = {number.measure: number for number in published_numbers(row)}
    used = knn or _published_knn(published.get("knn"))
    found = []
    for measured in measure_accuracies(backbone, domain, used, linear, settings):
        number = published.get(measured.measure)
        if number is None:
            found.append(CheckedAccuracy(measured))
            continue
        verdict = judge(measured, number, differences(measured, number, domain, arguments, used, *sizes))
        found.append(CheckedAccuracy(measured, number, verdict))
    return found


def _published_knn(number: PublishedNumber | None) -> KNNProtocol:
    if number is None or number.neighbours is None or number.temperature is None:
        return KNNProtocol(neighbours=(20,))
    return KNNProtocol(neighbours=(number.neighbours,), temperature=number.temperature)
