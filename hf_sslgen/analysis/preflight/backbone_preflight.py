"""Run a few of the package's photographs through a backbone, to notice what would spoil its numbers."""

import torch

from hf_sslgen.analysis.network import place
from hf_sslgen.analysis.preflight.feature_judgement import judge_features
from hf_sslgen.analysis.preflight.first_layer import find_first_layer, is_untrained, keeps_statistics
from hf_sslgen.analysis.preflight.input_judgement import judge_inputs, judge_values
from hf_sslgen.analysis.preflight.padding_judgement import judge_padding
from hf_sslgen.analysis.preflight.preflight_pictures import preflight_pictures
from hf_sslgen.analysis.preflight.preflight_report import FindingKind, PreflightReport
from hf_sslgen.analysis.taps import captured_features
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import LoadedBackbone

MOST_AT_ONCE = 2**21
"""Pixels of the pictures that run through the network together."""


@torch.no_grad()
def preflight(backbone: LoadedBackbone) -> PreflightReport:
    """Look at a backbone's features of a few photographs, and at what it keeps of its training inputs.

    Neither labels nor the target domain are needed. The model is moved to the measuring device and otherwise left as
    it is.
    """
    place(backbone)
    model, preprocessing = backbone.model, backbone.preprocessing
    pictures = preflight_pictures(preprocessing.geometry)
    pixels = torch.stack([evaluation_pixels(each, preprocessing.geometry) for each in pictures]).to(model.device)
    inputs = normalise(pixels, preprocessing)
    at_once = max(1, MOST_AT_ONCE // inputs[0, 0].numel())
    with captured_features(model) as captured:
        for batch in inputs.split(at_once):
            model(pixel_values=batch)
    findings = judge_features(torch.cat(captured))
    if not keeps_statistics(model):
        words = "its architecture keeps no statistics of its training inputs, so only their scale can be judged"
        findings += judge_values(inputs, preprocessing)
    elif is_untrained(model):
        words = "untrained: its batch normalisation has seen no inputs"
    elif (layer := find_first_layer(model, inputs)) is None:
        words = "its first layer keeps no statistics of its training inputs, so only their scale can be judged"
        findings += judge_values(inputs, preprocessing)
    else:
        words, found = judge_inputs(layer, pixels, preprocessing)
        findings += found + judge_padding(model)
    findings.sort(key=lambda finding: list(FindingKind).index(finding.kind))
    return PreflightReport(backbone.name, len(pictures), words, tuple(findings))
