"""What a planned study can find, as plain text: a table for `--power`, and a few lines for a dry run."""

import math
from collections.abc import Sequence

from hf_sslgen.reporting.vocabulary import MISSING, format_decimals, scope_words, setting_words, words
from hf_sslgen.study.inference.design.assumed_components import Assumption
from hf_sslgen.study.inference.design.design_power import MOST_TIMES, Extension
from hf_sslgen.study.inference.scopes import PRETRAINING, TRAINING, WEIGHTS, ScopedInterval
from hf_sslgen.study.power import DetectableDifference, Halving, Power, is_of_subset

COLUMNS = {WEIGHTS: "these weights", TRAINING: "trained again", PRETRAINING: "pretrained again"}
MOST_SETTINGS = 4
"""A dry run shows this many."""


def power_table(power: Power, source: str, assumption: Assumption) -> str:
    """Return the table of everything the study can find, what halves it, and where the variances come from.

    Args:
        source: the folder of the earlier study; empty if there is none.
        assumption: what is assumed if that study has no answer.
    """
    lines = [
        "Detectable difference: found with power 80% at a two-sided level of 5%, not adjusted for other tests",
        _line("setting", "number", "where", COLUMNS),
    ]
    for each in power.differences:
        sizes = {scoped.scope: _size(scoped.minimum_detectable_difference, each.metric) for scoped in each.scopes}
        lines.append(_line(_setting(each), f"{words(each.metric).title}{_unit(each)}", _where(each), sizes))
    if not power.differences:
        lines.append("none: no variances are known for any number; name an earlier study with --power_from")
    lines += _not_testable(power.differences)
    lines += _halved(power.halvings)
    if power.without_evidence:
        titles = ", ".join(words(metric).title for metric in power.without_evidence)
        lines.append(f"No variances are known for {titles}; name an earlier study that has them (--power_from).")
    if power.assumed_sizes:
        lines.append(f"Test images not counted before loading, assumed to be 1,000: {', '.join(power.assumed_sizes)}.")
    return "\n".join([*lines, *_sources(power, source, assumption)])


def power_lines(power: Power, source: str, assumption: Assumption) -> str:
    """Return the detectable difference in accuracy by setting, in the widest scope and at the widest level, in a few
    lines."""
    shown = [
        each for each in power.halvings if not each.of.transform and each.of.metric == power.halvings[0].of.metric
    ]
    shown = shown or list(power.halvings)
    if not shown:
        return "What the study can find is not known without an earlier study (--power_from)."
    lines = ["Detectable differences, with power 80% (--power true shows all):"]
    for each in shown[:MOST_SETTINGS]:
        lines.append(f"  {_found(each)}; {_extension_words(each)}")
    if len(shown) > MOST_SETTINGS:
        lines.append(f"  and {len(shown) - MOST_SETTINGS} more settings")
    return "\n".join([*lines, *(f"  {line}" for line in _short_sources(power, source, assumption))])


def _line(setting: str, number: str, where: str, sizes: dict[str, str]) -> str:
    found = (f"{sizes.get(scope, MISSING):>{max(13, len(title))}}" for scope, title in COLUMNS.items())
    return f"{setting:36}  {number:24}  {where:34}  {'  '.join(found)}".rstrip()


def _setting(each: DetectableDifference) -> str:
    return setting_words(each.protocol, each.labels)


def _unit(each: DetectableDifference) -> str:
    unit = words(each.metric).difference_unit.strip()
    return f" ({unit})" if unit else ""


def _where(each: DetectableDifference) -> str:
    if each.is_over_domains:
        return f"over {each.design.domains} {each.place} domains"
    return f"on {each.place}, {each.design.images:,.0f} images"


def _size(value: float, metric: str) -> str:
    found = words(metric)
    return MISSING if math.isnan(value) else format_decimals(value * found.scale, found.decimals)


def _not_testable(differences: Sequence[DetectableDifference]) -> list[str]:
    """Return a line per scope and reason."""
    reasons: dict[tuple[str, str], dict[str, None]] = {}
    for each in differences:
        for scoped in each.scopes:
            if scoped.reason:
                reasons.setdefault((scoped.scope, _reason(scoped)), {})[_setting(each)] = None
    return [
        f"Not testable for {scope_words(scope)}: {reason} ({'; '.join(settings)})"
        for (scope, reason), settings in reasons.items()
    ]


def _reason(scoped: ScopedInterval) -> str:
    return scoped.reason.removeprefix("not testable: ")


def _halved(halvings: Sequence[Halving]) -> list[str]:
    """Return a line per number, level and extension."""
    found: dict[tuple[str, str], list[str]] = {}
    for halving in halvings:
        each = halving.of
        what = f"{words(each.metric).title}, {_where(each)}, for {scope_words(halving.scope)}"
        found.setdefault((what, _extension_words(halving)), []).append(_setting(each))
    return [f"To halve it: {what}: {how} ({'; '.join(settings)})" for (what, how), settings in found.items()]


def _found(halving: Halving) -> str:
    each = halving.of
    scoped = next(scoped for scoped in each.scopes if scoped.scope == halving.scope)
    amount = _size(scoped.minimum_detectable_difference, each.metric) + words(each.metric).difference_unit
    wider = [f"{COLUMNS[s.scope]} not testable: {_reason(s)}" for s in each.scopes if s.reason]
    found = f"{_setting(each)}: {words(each.metric).title} {amount} {_where(each)}, for {scope_words(halving.scope)}"
    return "; ".join([found, *wider])


def _extension_words(halving: Halving) -> str:
    if halving.extension is None:
        return f"nothing within {MOST_TIMES} times the cells halves it"
    extension, each = halving.extension, halving.of
    amount = _size(extension.minimum_detectable_difference, each.metric) + words(each.metric).difference_unit
    cells = f"{extension.additional_cells:,} more cells" if extension.additional_cells else "no additional cells"
    return f"{' and '.join(_changes(each, extension))} give {amount} ({cells})"


def _changes(each: DetectableDifference, extension: Extension) -> list[str]:
    """Return what to change in the study's file."""
    planned, wanted = each.design, extension.design
    limit = "analysis: max_subset" if is_of_subset(each.metric) else "max_test_samples"
    changes = [
        (wanted.images, planned.images, f"test images (`{limit}`)"),
        (wanted.domains, planned.domains, f"{each.place} domains (`domains`)"),
        (wanted.runs, planned.runs, "pretraining runs of each objective (`backbones`)"),
        (wanted.seeds, planned.seeds, "training seeds (`seeds`)"),
    ]
    return [f"{new:,.0f} instead of {old:,.0f} {what}" for new, old, what in changes if new != old]


def _sources(power: Power, source: str, assumption: Assumption) -> list[str]:
    assumed = {what for each in power.differences for what in each.evidence.assumed}
    lines = _short_sources(power, source, assumption)
    return [*lines, f"Assumed: {assumption.source}."] if assumed else lines


def _short_sources(power: Power, source: str, assumption: Assumption) -> list[str]:
    assumed = dict.fromkeys(what for each in power.differences for what in each.evidence.assumed)
    count = max((each.evidence.num_differences for each in power.differences), default=0)
    lines = []
    if source and count:
        lines.append(f"Variances measured on up to {count} differences of {source}.")
    if assumed:
        lines.append(f"Variances between {', '.join(assumed)} assumed as for {assumption.name}.")
    return lines
