"""Whether a network's features of different photographs differ at all, and in more than one direction."""

import torch
from torch import Tensor

from hf_sslgen.analysis.preflight.preflight_report import Finding, FindingKind

SAME_FEATURES, ALMOST_SAME = 1e-5, 1e-3
"""Spread of features around their mean, as a share of their length."""

ONE_DIRECTION, FEW_DIRECTIONS = 1.05, 1.5
"""Effective numbers of dimensions in which photographs differ. The shipped twins have more than 4."""

DEAD_UNITS = 0.95


def effective_rank(features: Tensor) -> float:
    """Return the participation ratio of the principal components of features (N, D): 1 if they lie on a line."""
    variances = torch.linalg.svdvals(features - features.mean(0)).square()
    return float(variances.sum().square() / variances.square().sum())


def judge_features(features: Tensor) -> list[Finding]:
    """Judge features (N, D) of different pictures."""
    if not torch.isfinite(features).all():
        share = float((~torch.isfinite(features)).double().mean())
        sentence = f"{share:.0%} of its features of photographs are not finite numbers; convert or download it again"
        return [Finding(FindingKind.NOT_FINITE, "wrong", sentence)]
    features = features.double().cpu()
    spread = float((features - features.mean(0)).norm() / features.norm().clamp_min(1e-30))
    if spread < SAME_FEATURES:
        return [_collapsed("wrong", f"its features of different photographs are identical up to {spread:.0e}")]
    rank, dead = effective_rank(features), float((features.std(0) == 0).double().mean())
    if rank < ONE_DIRECTION:
        return [_collapsed("wrong", f"its features of different photographs differ in {rank:.2f} dimensions")]
    if spread < ALMOST_SAME:
        return [_collapsed("look", f"its features of different photographs are almost the same, to {spread:.0e}")]
    if rank < FEW_DIRECTIONS:
        return [_collapsed("look", f"its features of different photographs differ in only {rank:.2f} dimensions")]
    if dead > DEAD_UNITS:
        return [_collapsed("look", f"{dead:.0%} of its features are the same for all photographs")]
    return []


def _collapsed(severity: str, what: str) -> Finding:
    advice = "it has collapsed, or its weights are not the trained ones; check the checkpoint"
    if severity == "wrong":
        return Finding(FindingKind.COLLAPSED, "wrong", f"{what}: {advice}")
    return Finding(FindingKind.COLLAPSED, "look", f"{what}: check that the checkpoint is the trained one")
