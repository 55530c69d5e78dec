"""Make the attribution figures of a page: distributions over maps, and example maps."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_sslgen.metrics.catalogue.rows import CONTROL, drawn_maps
from hf_sslgen.reporting.attribution_words import attribution_words, quantity_words
from hf_sslgen.reporting.figures.concentration_distributions import concentration_of_records
from hf_sslgen.reporting.figures.figure_card import FigureCard, image_card, svg_card
from hf_sslgen.reporting.figures.figure_style import Styles
from hf_sslgen.reporting.figures.overlays import attribution_overlays
from hf_sslgen.reporting.table_rows import shown_in_figures
from hf_sslgen.reporting.vocabulary import setting_words
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell

if TYPE_CHECKING:
    import pandas as pd

LABEL_COLUMNS = ("sample_id", "reference", "prediction")
"""What the captions of example maps are taken from."""

MAX_OVERLAYS = 4
"""Example images per domain and setting, few enough that the page of a large study opens quickly."""


def attribution_cards(
    drawn: Sequence[Cell],
    records: Mapping[str, "pd.DataFrame"],
    identifier: str,
    setting: str,
    styles: Styles,
    note: str,
) -> list[FigureCard]:
    """Make figures of the cells that have maps; if their methods differ, only maps of the first method are drawn."""
    with_maps = [(cell, found) for cell in drawn if (found := cell.examples()) is not None]
    if not with_maps:
        return []
    first = with_maps[0][0]
    method = attribution_words(first)
    examples = {cell.backbone: found for cell, found in with_maps if attribution_words(cell) == method}
    if len(examples) < len(with_maps):
        note = f" Backbones with maps from another method are not drawn.{note}"
    return [
        _concentration_card(
            {name: records[name] for name in examples}, examples, identifier, setting, method, styles, note
        ),
        image_card(
            attribution_overlays,
            (
                examples,
                tuple(first.provenance.get("class_names") or ()),
                {name: _only(LABEL_COLUMNS, table) for name, table in records.items()},
                MAX_OVERLAYS,
                {cell.backbone: cell.objective for cell, _ in with_maps},
                quantity_words(first),
            ),
            f"{identifier}-overlays",
            f"Attribution on {setting}",
            f"The same images under each backbone: {method}. Lighter is more; each map is divided by its own maximum "
            f"and enlarged only for display.{_boxes_note(examples)} Examples illustrate but prove nothing; the "
            f"numbers are in the table.{note}",
            f"The same images overlaid with the attribution map of each backbone: {', '.join(examples)}.",
        ),
    ]


def _concentration_card(
    records: Mapping[str, "pd.DataFrame"],
    examples: Mapping[str, Mapping[str, np.ndarray]],
    identifier: str,
    setting: str,
    method: str,
    styles: Styles,
    note: str,
) -> FigureCard:
    with_lift = any("lift" in table and table["lift"].notna().any() for table in records.values())
    with_control = any(f"{CONTROL}gini" in table for table in records.values())
    caption = [
        f"{method[0].upper()}{method[1:]}.",
        "Gray: maps of noise, which have the Gini coefficient of a concentrated map but spread over the whole image.",
        "Dashed: the same architecture with re-initialised weights." if with_control else "",
        "Heights are relative to each histogram’s own peak. Neither higher nor lower concentration is better.",
        "Higher lift means more attribution on the object, and 1 is chance; its last bin holds all larger values."
        if with_lift
        else "",
    ]
    drawn = "Gini coefficient, spatial spread and lift" if with_lift else "Gini coefficient and spatial spread"
    return svg_card(
        concentration_of_records,
        (
            {name: _only(_map_columns(), table) for name, table in records.items()},
            {name: found["maps"].shape[1:] for name, found in examples.items()},
            {name: styles[name] for name in records},
        ),
        f"{identifier}-concentration",
        f"Concentration of attribution{' and its lift on the object' if with_lift else ''} on {setting}",
        " ".join(sentence for sentence in caption if sentence) + note,
        f"Distribution of {drawn} over images for {', '.join(records)}, compared with maps of noise. The means are "
        "in the table above.",
    )


def _map_columns() -> set[str]:
    """Return the columns that distributions over maps are drawn from."""
    names = {"zero_map", *(metric.columns[0].name for _, metric in drawn_maps(tested=True))}
    return names | {f"{CONTROL}{name}" for name in names}


def _only(columns: Collection[str], table: "pd.DataFrame") -> "pd.DataFrame":
    return table[[name for name in table if name in columns]]


def _boxes_note(examples: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    shown = any("boxes" in found and np.isfinite(found["boxes"]).any() for found in examples.values())
    return " The outline is the object’s box." if shown else ""


def published_cards(cells: Sequence[Cell], identifier: str, styles: Styles) -> list[FigureCard]:
    """Make the figures of where a domain's published encoders look, for those with maps of their own."""
    order = {name: index for index, name in enumerate(styles)}
    published = sorted((c for c in cells if c.protocol == PRETRAINED_PROTOCOL), key=lambda c: order[c.backbone])
    if not published:
        return []
    drawn, left_out = shown_in_figures(published)
    setting = f"{published[0].domain}, {setting_words(PRETRAINED_PROTOCOL)}"
    records = {cell.backbone: cell.columns().clean.frame() for cell in drawn}
    note = f" {left_out}" if left_out else ""
    return attribution_cards(drawn, records, f"{identifier}-published", setting, styles, note)
