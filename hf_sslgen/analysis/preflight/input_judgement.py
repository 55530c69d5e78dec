"""Whether a network gets the inputs it was trained with: their scale, mean and channel order."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hf_sslgen.analysis.preflight.first_layer import FirstLayer
from hf_sslgen.analysis.preflight.preflight_report import Finding, FindingKind, Severity
from hf_sslgen.preprocessing import Preprocessing

Three = tuple[float, float, float]

PHOTOGRAPHS_MEAN = (0.48, 0.456, 0.409)
"""Mean red, green and blue of ImageNet's photographs. Photographs are warm: red is brighter than blue."""

CLOSE, FAR, WARM = 0.05, 0.12, 0.02
"""Means of a channel this close to the photographs' are theirs, and this far from them are other pictures' or wrong;
red this much brighter than blue is warm."""

IMPLAUSIBLE, CLEARLY = 0.08, 3.0
"""Divergences above which inputs can be accused, and the factor by which others have to fit better. With the right
inputs, ImageNet's networks and the shipped twins have 0.01 to 0.03, and with another scale 0.13 and more."""

NOTHING_FITS = 0.5

LARGE, SMALL = 10.0, 0.03
"""Standard deviations of inputs that no usual preprocessing makes."""


@dataclass(frozen=True)
class InputScale:
    """A usual way to make inputs of values in [0, 1]: `(values - mean) / std`, in words."""

    words: str
    mean: Three
    std: Three


IMAGENET = (0.485, 0.456, 0.406)
BYTE = (1 / 255, 1 / 255, 1 / 255)

SCALES = (
    InputScale("ImageNet's mean and std", IMAGENET, (0.229, 0.224, 0.225)),
    InputScale("mean and std of 0.5", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    InputScale("inputs in [0, 1] without mean and std", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    InputScale("inputs in [0, 255] without mean and std", (0.0, 0.0, 0.0), BYTE),
    InputScale("inputs in [0, 255] less ImageNet's mean", IMAGENET, BYTE),
)


@dataclass(frozen=True)
class _Fit:
    """How inputs fit what the network keeps of its training: their divergence, and the mean red, green and blue that
    the pictures it was trained on would have had."""

    divergence: float
    colour: Three

    @property
    def distance(self) -> float:
        return max(abs(found - wanted) for found, wanted in zip(self.colour, PHOTOGRAPHS_MEAN, strict=True))

    @property
    def is_of_photographs(self) -> bool:
        return self.distance < CLOSE and self.colour[0] - self.colour[2] > WARM


def _fit(layer: FirstLayer, expected: Tensor, values: Tensor, mean: Three, std: Three, reverse: bool) -> _Fit:
    """Judge inputs made of RGB `values` (B, 3, H, W) in [0, 1]; `reverse` is for networks that take BGR."""
    ordered = values.flip(1) if reverse else values
    inputs = (ordered - ordered.new_tensor(mean)[:, None, None]) / ordered.new_tensor(std)[:, None, None]
    first, second, third = (expected * torch.tensor(std) + torch.tensor(mean)).tolist()
    colour = (third, second, first) if reverse else (first, second, third)
    return _Fit(layer.divergence(inputs), colour)


def _stated(preprocessing: Preprocessing) -> str:
    return f"mean {_numbers(preprocessing.mean)} and std {_numbers(preprocessing.std)}, {preprocessing.channels}"


def _numbers(values: Three) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"


def judge_inputs(layer: FirstLayer, pixels: Tensor, preprocessing: Preprocessing) -> tuple[str, list[Finding]]:
    """Compare the stated inputs with the usual ones on what the network keeps of its training inputs.

    Pictures of other kinds than photographs explain a mean that is far from theirs, so that the stated inputs are
    accused only if others fit photographs closely.

    Args:
        pixels: (B, 3, S, S) bytes, RGB.

    Returns:
        What was judged, in words, and the findings.
    """
    values, reverse = pixels.float() / 255, preprocessing.channels == "BGR"
    expected, error = layer.expected_mean()
    own = _fit(layer, expected, values, preprocessing.mean, preprocessing.std, reverse)
    grey = values.mean(1, keepdim=True).expand_as(values)
    of_grey = _fit(layer, expected, grey, preprocessing.mean, preprocessing.std, reverse).divergence
    others = {scale: _fit(layer, expected, values, scale.mean, scale.std, reverse) for scale in SCALES}
    scale, best = min(others.items(), key=lambda item: item[1].divergence)
    judged = f"inputs compared with the running statistics of its first layer, divergence {own.divergence:.3f}"
    lowest = min(own.divergence, of_grey)
    if lowest > IMPLAUSIBLE and best.divergence < lowest / CLEARLY:
        return judged, [_other_scale(preprocessing, own, scale, best)]
    if error < 0.1 and not own.is_of_photographs:
        swapped = _fit(layer, expected, values, preprocessing.mean, preprocessing.std, not reverse)
        if swapped.is_of_photographs and own.colour[2] - own.colour[0] > WARM:
            return judged, [_other_order(preprocessing, own)]
        near = [each for each, fit in others.items() if fit.is_of_photographs and fit.divergence < IMPLAUSIBLE]
        if own.distance > CLOSE and near:
            nearest = min(near, key=lambda each: others[each].distance)
            is_wrong = own.distance > FAR and others[nearest].divergence < own.divergence
            return judged, [_other_mean(preprocessing, own, nearest, "wrong" if is_wrong else "look")]
    if lowest > NOTHING_FITS:
        return judged, [_nothing_fits(preprocessing, own)]
    return judged, []


def _other_scale(stated: Preprocessing, own: _Fit, scale: InputScale, best: _Fit) -> Finding:
    sentence = (
        f"its inputs have the wrong scale: the running statistics of its first layer don't fit the stated "
        f"{_stated(stated)} (divergence {own.divergence:.2g}) and fit {scale.words} better ({best.divergence:.2g})"
    )
    return Finding(FindingKind.INPUT_SCALE, "wrong", sentence)


def _other_order(stated: Preprocessing, own: _Fit) -> Finding:
    right = "RGB" if stated.channels == "BGR" else "BGR"
    red, _, blue = own.colour
    sentence = (
        f"its inputs have the wrong channel order: with the stated {_stated(stated)} it would have been trained on "
        f"pictures with a mean red of {red:.2f} and blue of {blue:.2f}, while {right} gives those of photographs"
    )
    return Finding(FindingKind.CHANNEL_ORDER, "wrong", sentence)


def _other_mean(stated: Preprocessing, own: _Fit, scale: InputScale, severity: Severity) -> Finding:
    have = "have" if severity == "wrong" else "may have"
    sentence = (
        f"its inputs {have} the wrong mean: with the stated {_stated(stated)} it would have been trained on pictures "
        f"of the mean colour {_numbers(own.colour)}, while {scale.words} gives that of photographs"
    )
    return Finding(FindingKind.INPUT_MEAN, severity, sentence)


def _nothing_fits(stated: Preprocessing, own: _Fit) -> Finding:
    sentence = (
        f"its inputs may have the wrong scale: the running statistics of its first layer fit photographs "
        f"neither with the stated {_stated(stated)} (divergence {own.divergence:.2g}) nor with another usual scale; "
        "check the preprocessing, unless it was trained on pictures unlike photographs"
    )
    return Finding(FindingKind.INPUT_SCALE, "look", sentence)


def judge_values(inputs: Tensor, preprocessing: Preprocessing) -> list[Finding]:
    """Judge the inputs (B, 3, S, S) of a network that keeps no statistics, by their own scale alone."""
    deviation = float(inputs.std())
    if SMALL < deviation < LARGE:
        return []
    sentence = (
        f"its inputs have an unusual scale: with the stated {_stated(preprocessing)} those of photographs have a "
        f"standard deviation of {deviation:.3g}; the usual {SCALES[0].words} gives about 1"
    )
    return [Finding(FindingKind.INPUT_SCALE, "look", sentence)]
