"""The four measurements of every backbone at a glance."""

import functools
import math
from collections.abc import Sequence
from dataclasses import replace

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.catalogue.metric import Part
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, METRICS, tested_parts
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.reporting.confound_words import facets_confounding
from hf_sslgen.reporting.scorecard_values import AveragePanel, Mark, Measure, Panel, Score, Scorecard, ScoreRow
from hf_sslgen.reporting.table_rows import Row, domains_of, rows_of, settings_of, shown_accuracy
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.backbone_averages import Averaged, average_over_domains, average_over_runs
from hf_sslgen.study.inference.backbone_ranking.contestants import Contestant, find_contestants
from hf_sslgen.study.inference.backbone_ranking.ranking import Ranking
from hf_sslgen.study.inference.known_backbones import known_backbones
from hf_sslgen.study.inference.leads import Leads, best_control, trained_of
from hf_sslgen.study.inference.seed_averages import grouped
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.zoo.backbone_registry import UNTRAINED
from hf_sslgen.zoo.display_names import display_names


def scorecard(results: StudyResults) -> Scorecard:
    """Return the scorecard of a study; no panels if it has no cells."""
    cells = results.cells
    settings = [(domain, setting) for domain in domains_of(cells) for setting in settings_of(cells, domain)]
    contestants = {
        setting: find_contestants([c for c in cells if (c.protocol, c.labels) == setting]) for _, setting in settings
    }
    named = {each.name: each.objective for found in contestants.values() for each in found}
    named |= {cell.backbone: cell.objective for cell in cells}
    names = display_names(named)
    measures = _measures(cells)
    rankings = {(r.domains, r.protocol, r.labels): r for r in results.rankings}
    leads = Leads(results)
    known = known_backbones(cells)

    @functools.cache
    def differing_of(names: frozenset[str]) -> tuple[str, ...]:
        return tuple(facets_confounding([known[name] for name in sorted(names)]))

    def differing(rows: Sequence[ScoreRow]) -> tuple[str, ...]:
        return differing_of(frozenset(row.backbones[0] for row in rows if not row.is_control))

    panels = []
    for domain, setting in settings:
        rows = rows_of(cells, domain, setting)
        ranking = rankings.get(((domain,), *setting))
        accuracy = ranking.metric if ranking is not None else shown_accuracy(rows[0].cell)
        found = [
            _row(each, own, measures, accuracy, names) for each, own in _by_contestant(contestants[setting], rows)
        ]
        ranked = _ranked(found if ranking is None else _marked(found, ranking, leads))
        first = rows[0].cell
        num_images = next((row.scores[0].n for row in ranked if row.scores[0] is not None), 0)
        seeds = tuple(sorted({row.cell.seed for row in rows}))
        panels.append(
            Panel(domain, first.group, *setting, accuracy, num_images, seeds, tuple(ranked), differing(ranked))
        )
    averages = [replace(each, differing=differing(each.rows)) for each in _averages(panels, measures, rankings, leads)]
    return Scorecard(tuple(measures), tuple(panels), tuple(averages), names)


def _measures(cells: Sequence[Cell]) -> list[Measure]:
    """Return the headline number of each measurement that any cell has."""
    found = []
    measured = {number.metric for cell in cells for number in cell.numbers}
    for part, numbers in tested_parts():
        metric, transform = numbers[0]
        if metric == HEADLINE_ACCURACY or metric in measured:
            row = METRICS[metric]
            found.append(Measure(part, metric, transform, row.words.title, row.better))
    return found


def _by_contestant(contestants: Sequence[Contestant], rows: Sequence[Row]) -> list[tuple[Contestant, list[list[Row]]]]:
    """Return the rows of each contestant by pretraining run; one that lacks a run here is shown run by run."""
    of_backbone = grouped(rows, [row.cell.backbone for row in rows])
    found = []
    for each in contestants:
        here = [of_backbone[name] for name in each.backbones if name in of_backbone]
        if len(here) == len(each.backbones):
            found.append((each, here))
            continue
        for own in here:
            alone = replace(each, name=own[0].cell.backbone, backbones=(own[0].cell.backbone,), are_runs=False)
            found.append((alone, [own]))
    return found


def _row(
    each: Contestant, runs: Sequence[Sequence[Row]], measures: Sequence[Measure], accuracy: str, names: dict[str, str]
) -> ScoreRow:
    scores = tuple(_score(runs, measure, accuracy) for measure in measures)
    return ScoreRow(each.name, names[each.name], each.objective, each.objective == UNTRAINED, each.backbones, scores)


def _score(runs: Sequence[Sequence[Row]], measure: Measure, accuracy: str) -> Score | None:
    metric = accuracy if measure.metric == HEADLINE_ACCURACY else measure.metric
    stage = PRETRAINED_STAGE if measure.part == Part.INVARIANCE.value else ""
    found: list[list[Number]] = []
    folders: dict[str, None] = {}
    for run in runs:
        numbers: dict[str, Number] = {}
        for row in run:
            cell = row.pretrained if stage and row.pretrained is not None else row.cell
            number = row.number(metric, measure.transform, stage)
            if number is not None:
                numbers.setdefault(cell.folder.name, number)
        found.append(list(numbers.values()))
        folders |= dict.fromkeys(numbers)
    average = average_over_runs(found)
    return None if average is None else _score_of(metric, average, tuple(folders))


def _score_of(metric: str, average: Averaged, folders: tuple[str, ...] = ()) -> Score:
    return Score(
        metric, average.value, average.low, average.high, average.n, average.num_runs, average.reason, cells=folders
    )


def _marked(rows: Sequence[ScoreRow], ranking: Ranking, leads: Leads) -> list[ScoreRow]:
    """Add what the ranking says of accuracy: marks, and of several runs the interval in its widest scope."""
    trained, control = trained_of(ranking), best_control(ranking)
    places = {each.contestant.name: each for each in ranking.backbones}
    marks: dict[str, list[Mark]] = {name: [] for name in places}
    if len(trained) > 1:
        best = trained[0]
        if leads.is_ahead_of_all(ranking, best, trained) and leads.beats_control(ranking, best):
            marks[best.contestant.name].append(Mark.LEADS)
        else:
            tied = [each for each in trained if each is best or not leads.lead(ranking, best, each).is_claimed]
            has_interval = any(leads.lead(ranking, best, each).has_interval for each in tied if each is not best)
            for each in tied if len(tied) > 1 else ():
                marks[each.contestant.name].append(Mark.TIED if has_interval else Mark.UNTOLD)
    for each in trained:
        if control is None or leads.beats_control(ranking, each):
            continue
        is_below = leads.lead(ranking, each, control).is_claimed
        marks[each.contestant.name].append(Mark.BELOW_CONTROL if is_below else Mark.NOT_ABOVE_CONTROL)
    found = []
    for row in rows:
        place, score = places.get(row.name), row.scores[0]
        if place is None or score is None:
            found.append(row)
            continue
        if score.num_runs > 1 or ranking.is_over_domains:
            within = place.interval
            scope = "" if math.isnan(within.low) else within.scope
            score = replace(
                score, value=place.value, low=within.low, high=within.high, scope=scope, reason=within.reason
            )
        score = replace(score, marks=tuple(marks[row.name]))
        found.append(replace(row, scores=(score, *row.scores[1:])))
    return found


def _ranked(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Sort by accuracy, those without one after the others, and untrained controls last."""

    def place(row: ScoreRow) -> tuple[bool, bool, float]:
        value = row.scores[0].value if row.scores[0] is not None else math.nan
        return row.is_control, math.isnan(value), 0.0 if math.isnan(value) else -value

    return sorted(rows, key=place)


def _averages(
    panels: Sequence[Panel],
    measures: Sequence[Measure],
    rankings: dict[tuple[tuple[str, ...], str, str], Ranking],
    leads: Leads,
) -> list[AveragePanel]:
    """Average each setting over its domains and over those of each group, if they are several."""
    found = []
    for (protocol, labels), members in grouped(panels, [(p.protocol, p.labels) for p in panels]).items():
        over = {domains: r for (domains, *of), r in rankings.items() if of == [protocol, labels] and len(domains) > 1}
        ranking = next(iter(over.values()), None)
        groups = {"": members} | grouped(members, [panel.group for panel in members])
        for group, of_group in groups.items():
            if len(of_group) < 2 or (group and len(groups) == 2):
                continue
            domains = tuple(panel.domain for panel in of_group)
            rows = _average_rows(of_group, measures)
            if not group and ranking is not None and set(ranking.domains) == set(domains):
                rows = _marked(rows, ranking, leads)
            if rows:
                found.append(AveragePanel(group, domains, protocol, labels, tuple(_ranked(rows))))
    return found


def _average_rows(panels: Sequence[Panel], measures: Sequence[Measure]) -> list[ScoreRow]:
    by_name = [{row.name: row for row in panel.rows} for panel in panels]
    found = []
    for name, first in by_name[0].items():
        if not all(name in rows for rows in by_name):
            continue
        scores: list[Score | None] = []
        for index, measure in enumerate(measures):
            own = [score for rows in by_name if (score := rows[name].scores[index]) is not None]
            if len(own) < len(panels) or any(math.isnan(score.value) for score in own):
                scores.append(None)
                continue
            averaged = average_over_domains(
                [Averaged(score.value, score.low, score.high, score.n, score.num_runs) for score in own]
            )
            averaged = _within_possible(averaged, measure.metric)
            scores.append(_score_of(measure.metric, averaged, tuple(cell for score in own for cell in score.cells)))
        found.append(replace(first, scores=tuple(scores)))
    return found


def _within_possible(averaged: Averaged, metric: str) -> Averaged:
    """Cut an interval where the number ends, which Student's t interval over domains does not know."""
    number = METRICS[metric].words if metric in METRICS else METRICS["accuracy"].words
    is_share = number.scale > 1.0
    lowest = (-1.0 if number.signed else 0.0) if is_share else -math.inf
    return replace(averaged, low=max(averaged.low, lowest), high=min(averaged.high, 1.0))
