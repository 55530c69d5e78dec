"""Run each backbone's preflight once before its cells, so that none is computed on a wrong input scale."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.analysis.preflight.preflight_report import PreflightReport
from hf_sslgen.errors import HubError, InputError
from hf_sslgen.study.execution.shared_facts import (
    EstablishedElsewhereError,
    PreflightRequest,
    share_facts,
)
from hf_sslgen.study.execution.workbench import (
    Unavailable,
    backbone_asked_once,
    backbone_request,
    shared_backbone_facts,
)
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, resolve_location

logger = logging.getLogger(__name__)

Preflights = Literal["required", "reported", "skipped"]

WAIT_SECONDS = 0.5


def suspicious_backbones(
    specs: Iterable[CellSpec], study: Path | None, unavailable: Unavailable, preflights: Preflights = "required"
) -> dict[CellSpec, InputError | HubError]:
    """Run the preflight of every backbone of cells, print what it finds, and return the cells to set aside.

    Untrained controls are left out. A backbone that can't be loaded is left to its cells, which say so.

    Args:
        study: the study's folder, in which reports are kept for other processes; None for a dry run, which looks at
            backbones in folders alone and keeps nothing.
        preflights: whether backbones have to pass, are measured whatever is found, or are not looked at.
    """
    if preflights == "skipped":
        return {}
    reports: dict[tuple[Any, ...], PreflightReport | None] = {}
    aside: dict[CellSpec, InputError | HubError] = {}
    for spec in specs:
        asked = (spec.backbone.location, spec.geometry)
        if asked not in reports:
            reports[asked] = _report(spec, study, unavailable)
            if (made := reports[asked]) is not None:
                _tell(spec.backbone.name, made)
        report = reports[asked]
        if report is not None and report.wrong and preflights == "required" and not spec.backbone.accept_inputs:
            aside[spec] = _refusal(spec.backbone.name, report)
    return aside


def _report(spec: CellSpec, study: Path | None, unavailable: Unavailable) -> PreflightReport | None:
    """Return the report on a cell's backbone; None if it is untrained or can't be loaded."""
    location, geometry = spec.backbone.location, spec.geometry
    if location.startswith(UNTRAINED_PREFIX):
        return None

    def look_at(name: str) -> PreflightReport:
        return preflight(load_backbone(name, ("first", "second"), geometry=geometry, match="none"))

    try:
        if study is None:
            return look_at(location) if Path(resolve_location(location)).is_dir() else None
        request = backbone_request(location, spec.seed, geometry)

        def establish() -> PreflightReport:  # of the very weights that the cells are computed with
            return look_at(shared_backbone_facts(study, request).pinned)

        return backbone_asked_once(location, unavailable, lambda: _shared(study, PreflightRequest(request), establish))
    except (InputError, HubError):  # which the cells tell
        return None


def _shared(study: Path, request: PreflightRequest, establish: Callable[[], PreflightReport]) -> PreflightReport:
    """Return a report as some process of the study has made it; else make it."""
    while True:
        with contextlib.suppress(EstablishedElsewhereError):
            return share_facts(study, request, establish)
        time.sleep(WAIT_SECONDS)


def _tell(name: str, report: PreflightReport) -> None:
    if report.findings:
        logger.warning("%s: %s", name, _sentences(report))
    else:
        print(f"{name}: preflight passed ({report.inputs})", flush=True)


def _sentences(report: PreflightReport) -> str:
    return "; ".join(finding.sentence for finding in report.findings)


def _refusal(name: str, report: PreflightReport) -> InputError:
    found = "; ".join(finding.sentence for finding in report.wrong)
    return InputError(
        f"backbone {name!r} is not measured: {found}. Correct the checkpoint or its preprocessing; or, if they are "
        "right, accept it with --accept_inputs true, or `accept_inputs: true` in its row, and of a study "
        "--retry_failed true"
    )
