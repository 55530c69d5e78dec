"""Run `hf-sslgen zoo check`, after its options have been parsed."""

import json
import textwrap
from pathlib import Path
from typing import Any

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.commands.zoo_check import ZooCheckArguments
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.errors import InputError, hinted
from hf_sslgen.files import write_json
from hf_sslgen.study.protocols.kinds import KNNProtocol, LinearProtocol
from hf_sslgen.study.verification.published_check import CheckedAccuracy, Verification, verify
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone, known_backbone_ids
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, registered, resolve_location

VERIFICATION_FILE = "verification.json"
WIDTH = 110
NAMES = {"knn": "k-NN", "linear": "linear", "classifier": "classifier"}


def run_zoo_check(arguments: ZooCheckArguments, shared: Any) -> None:
    """Check the backbone and print what was found.

    Raises:
        InputError: the check fails; what was found is printed all the same.
    """
    if arguments.name.startswith(UNTRAINED_PREFIX):
        raise InputError(f"{arguments.name!r} has no published weights to check; leave out {UNTRAINED_PREFIX!r}")
    row = _row(arguments)
    folder = Path(resolve_location(arguments.name))
    if arguments.write and (not folder.is_dir() or (row is not None and row.package_folder is not None)):
        raise InputError(f"write: {arguments.name!r} is not a folder of yours; leave out --write")
    found = verify(
        arguments.name,
        row,
        _domain(arguments, shared),
        _knn(arguments),
        LinearProtocol(retrain_on_validation=True) if arguments.linear else None,
        AnalysisSettings(batch_size=arguments.batch_size),
        arguments.image_size,
    )
    if arguments.write:
        write_json(folder / VERIFICATION_FILE, found.to_json())
    print(json.dumps(found.to_json(), indent=2) if arguments.json else "\n".join(_lines(found)))
    if found.failures:
        raise InputError(f"{arguments.name} does not pass: {'; '.join(found.failures)}")


def _row(arguments: ZooCheckArguments) -> Backbone | None:
    if arguments.published_of is None:
        return registered(arguments.name)
    row = find_backbone(arguments.published_of)
    if row is None:
        name = arguments.published_of
        raise InputError(hinted(f"published_of {name!r} is not in `hf-sslgen zoo`", name, known_backbone_ids()))
    return row


def _domain(arguments: ZooCheckArguments, shared: Any) -> DomainArguments | None:
    if arguments.dataset_name is None:
        return None
    return DomainArguments(
        dataset_name=arguments.dataset_name,
        registered_as=arguments.registered_as,
        train_split_name=arguments.train_split_name,
        test_split_name=arguments.test_split_name,
        **vars(shared),
    )


def _knn(arguments: ZooCheckArguments) -> KNNProtocol | None:
    if arguments.neighbours is None and arguments.temperature is None:
        return None
    usual = KNNProtocol(neighbours=(20,))
    return KNNProtocol((arguments.neighbours or usual.neighbours[0],), arguments.temperature or usual.temperature)


def _lines(found: Verification) -> list[str]:
    tensors = found.tensors
    said = (
        "as many as its architecture has"
        if tensors.stored == tensors.architecture
        else (f"its architecture has {tensors.architecture:,}")
    )
    lines = [found.backbone, f"  {'tensors':11} {tensors.stored:,} of the trunk, {said}"]
    lines += _wrapped("parameters", found.other_size or f"{found.num_parameters:,} of the trunk")
    lines += _wrapped("preflight", found.preflight.line.removeprefix(f"{found.preflight.backbone}: "))
    for each in found.accuracies:
        lines += _accuracy_lines(each, found.data)
    if found.data is None:
        lines += _wrapped("accuracy", "not measured; give labelled source images with --dataset_name")
    return lines


def _accuracy_lines(each: CheckedAccuracy, data: str | None) -> list[str]:
    measured, published, verdict = each.measured, each.published, each.verdict
    on = f"{measured.num_test:,} test images of {data}"
    among = f", {measured.num_train:,} training images" if measured.num_train else ""
    value = f"{measured.top1:.1f}% [{measured.low:.1f}, {measured.high:.1f}]"
    lines = _wrapped(NAMES[measured.measure], f"{value} on {on}{among}; {measured.setting}")
    if published is None or verdict is None:
        return [*lines, *_wrapped("", "no published number to hold it against")]
    stated = f"published: {published.top1:.1f}% ({published.source})"
    return [*lines, *_wrapped("", stated), *_wrapped("", f"{verdict.status}: {verdict.sentence}")]


def _wrapped(title: str, text: str) -> list[str]:
    first, *rest = textwrap.wrap(text, WIDTH)
    return [f"  {title:11} {first}", *(f"{'':14}{line}" for line in rest)]
