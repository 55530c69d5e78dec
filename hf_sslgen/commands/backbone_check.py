"""A preflight of the backbone that a command was given, before anything is computed with it."""

import logging

from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

logger = logging.getLogger(__name__)


def require_sound(backbone: LoadedBackbone, accept_inputs: bool, tells: bool = True) -> None:
    """Run a backbone's preflight, and tell what it finds.

    Args:
        tells: whether this process is the one that logs.

    Raises:
        InputError: something is wrong for which no number of it should be computed, and it isn't accepted.
    """
    if backbone.name.startswith(UNTRAINED_PREFIX):
        return
    report = preflight(backbone)
    if report.wrong and not accept_inputs:
        found = "; ".join(finding.sentence for finding in report.wrong)
        raise InputError(
            f"model_name_or_path {backbone.name!r}: {found}. Correct the checkpoint or its preprocessing, or accept "
            "it with --accept_inputs true"
        )
    for finding in report.findings if tells else ():
        logger.warning("%s: %s", backbone.name, finding.sentence)
