"""Run `hf-sslgen zoo check`, after its options have been parsed."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import replace

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.commands.zoo_check import ZooCheckArguments
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.errors import InputError, hinted
from hf_sslgen.study.protocols.kinds import KNNProtocol, LinearProtocol
from hf_sslgen.study.verification.published_check import AccuracyCheck, BackboneCheck, CheckProtocols, check_backbone
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone, known_backbone_ids

WIDTH = 100


def run_zoo_check(arguments: ZooCheckArguments, domain_arguments: DomainArguments | None) -> None:
    """Check the backbone and print what was found.

    Raises:
        InputError: the check failed, or there is nothing to check.
    """
    row = _row(arguments)
    linear = LinearProtocol(retrain_on_validation=True) if arguments.linear else None
    protocols = CheckProtocols(
        KNNProtocol(neighbours=(arguments.neighbours,), temperature=arguments.temperature), linear
    )
    settings = replace(AnalysisSettings(), batch_size=arguments.batch_size, precision=arguments.precision)
    check = check_backbone(arguments.name, row, domain_arguments, protocols, settings, arguments.image_size)
    print(json.dumps(check.content(), indent=2) if arguments.json else "\n".join(_lines(check)))
    if check.failures:
        raise InputError(f"{arguments.name} fails the check: {'; '.join(check.failures)}")


def _row(arguments: ZooCheckArguments) -> Backbone | None:
    if arguments.registered_backbone is None:
        return find_backbone(arguments.name)
    row = find_backbone(arguments.registered_backbone)
    if row is None:
        unknown = f"registered_backbone {arguments.registered_backbone!r} is not a backbone of `hf-sslgen zoo`"
        raise InputError(hinted(unknown, arguments.registered_backbone, known_backbone_ids()))
    return row


def _lines(check: BackboneCheck) -> Iterator[str]:
    tensors = check.tensors
    yield check.name
    more = "" if tensors.agrees else f"; the files hold {tensors.stored}"
    yield f"tensors    {min(tensors.stored, tensors.architecture)} of {tensors.architecture}{more}"
    yield from _wrapped("preflight", check.preflight.line.removeprefix(f"{check.preflight.backbone}: "))
    if check.domain is None:
        yield from _wrapped("accuracy", "not measured; name labelled pictures of its source with --dataset_name")
    for each in check.accuracies:
        yield from _accuracy_lines(each)


def _accuracy_lines(check: AccuracyCheck) -> Iterator[str]:
    measured = check.measured
    against = f"{measured.num_test:,} test images"
    if measured.num_train:
        against = f"{measured.num_train:,} training and {against}"
    yield from _wrapped(
        measured.measure,
        f"{measured.top1:.1f}% [{measured.low:.1f}, {measured.high:.1f}] ({measured.setting}; {against})",
    )
    if check.published is None or check.verdict is None:
        yield from _wrapped("", "no published accuracy is registered")
        return
    yield from _wrapped("", f"published: {check.published.top1:.1f}% ({check.published.source})")
    yield from _wrapped("", f"{check.verdict.status}: {check.verdict.sentence}")


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{label:11}", subsequent_indent=" " * 11)
