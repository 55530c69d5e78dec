"""Run a few of the package's photographs through a backbone, to notice what would spoil its numbers."""

import torch

from hf_sslgen.analysis.network import place
from hf_sslgen.analysis.preflight.preflight_pictures import preflight_pictures
from hf_sslgen.analysis.preflight.preflight_report import Finding, FindingKind, PreflightReport
from hf_sslgen.analysis.taps import captured_features
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


@torch.inference_mode()
def preflight(backbone: LoadedBackbone) -> PreflightReport:
    """Look at a backbone's features of a few photographs; neither labels nor the target domain are needed.

    The model is moved to the measuring device and otherwise left as it is.
    """
    place(backbone)
    pictures = preflight_pictures()
    pixels = torch.stack([evaluation_pixels(each, backbone.preprocessing.geometry) for each in pictures])
    inputs = normalise(pixels.to(backbone.model.device), backbone.preprocessing)
    with captured_features(backbone.model) as captured:
        backbone.model(pixel_values=inputs)
    features = captured[0]
    findings = []
    if not torch.isfinite(features).all():
        findings.append(
            Finding(FindingKind.NOT_FINITE, "wrong", "its features of photographs are not all finite numbers")
        )
    return PreflightReport(backbone.name, len(pictures), "inputs not judged", tuple(findings))
