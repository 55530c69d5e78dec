"""The parts of the app's page that are HTML: every name in them is escaped."""

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from hf_sslgen.app.running_comparison import SHOWN_LINES, ComparisonState

if TYPE_CHECKING:  # importing it takes seconds, for torch
    from hf_sslgen.app.label_free_view import View

REPORT_PATH = "/report"
"""Address of a finished report."""

TABLES = ("results.csv", "comparisons.csv", "ranking.csv", "cautions.csv")
"""Files of a comparison that can be fetched, beside its page."""

SHOWN_NAME = 60


def notice(text: str) -> str:
    """A sentence on what was found or done."""
    return f'<p class="said" role="status">{escape(text)}</p>'


def refusal(text: str) -> str:
    """A sentence on what is wrong and what would work."""
    return f'<p class="refused" role="alert">{escape(text)}</p>'


def progress(state: ComparisonState, command: str) -> str:
    """How far a comparison is, and what it says."""
    seconds = f"{state.seconds:.0f} s"
    if state.exit_code is None:
        head = notice(f"Comparing, {seconds} so far. You can close this page: the comparison continues.")
    elif state.error:
        head = refusal(state.error)
    elif state.has_report:
        head = notice(f"Done in {seconds}.")
    else:
        head = notice("Stopped. Finished work is kept: compare again to continue from there.")
    lines = "\n".join(state.said[-SHOWN_LINES:]) if state.exit_code is None else "\n".join(state.said)
    lines = lines or "Starting."
    said = f'<pre tabindex="0" aria-label="Output of the command">{escape(lines)}</pre>'
    folded = said if state.exit_code is None else f"<details><summary>Output of the command</summary>{said}</details>"
    same = f"<details><summary>The same in a terminal</summary><pre tabindex='0'>{escape(command)}</pre></details>"
    return head + folded + same


def report(number: int) -> str:
    """The finished page, with links to it and to the tables; `number` makes the browser fetch a later one anew."""
    tables = ", ".join(f'<a href=".{REPORT_PATH}/{name}" download>{name}</a>' for name in TABLES)
    return (
        f'<p class="links"><a href=".{REPORT_PATH}/?{number}" target="_blank" rel="noopener">Open the report in a '
        f"new tab</a>. Tables: {tables}.</p>"
        f'<iframe class="report" src=".{REPORT_PATH}/?{number}" title="Report of the comparison" '
        'allow="clipboard-write *"></iframe>'
    )


def side_by_side(views: Sequence["View"], num_backbones: int, left_out: int) -> str:
    """Pictures without labels, each beside what every backbone's answer rests on and what it answers."""
    pictures = list(dict.fromkeys(view.picture for view in views))
    rows = []
    for picture in pictures:
        of_picture = [view for view in views if view.picture == picture]
        figures = [_figure(of_picture[0].shown, picture, "as the first backbone sees it")]
        figures += [_figure(view.overlay, view.backbone, *_answers(view)) for view in of_picture]
        rows.append(f'<div class="views" role="group" aria-label="{escape(picture)}">{"".join(figures)}</div>')
    has_classes, has_none = any(view.named for view in views), any(not view.named for view in views)
    words = ["The parts of each picture are hidden one at a time."]
    if has_classes:
        words.append("Red: parts without which a backbone is less sure of its first class.")
    if has_none:
        words.append(
            "A backbone without a classifier names no classes. Red: parts without which its features change most."
        )
        words.append("Most alike: the other picture with the closest features (cosine).")
    if left_out:
        words.append(f"{left_out} more pictures are not shown.")
    if len(views) < len(pictures) * num_backbones:
        words.append("Still looking.")
    return notice(" ".join(words)) + "".join(rows)


def _answers(view: "View") -> list[str]:
    """What a backbone says about a picture, line by line."""
    if view.named:
        return [f"{_short(name)} {100 * share:.0f}%" for name, share in view.named]
    return [] if view.nearest is None else [f"most alike: {_short(view.nearest[0])} ({view.nearest[1]:.2f})"]


def _figure(picture: Image.Image, title: str, *lines: str) -> str:
    encoded = io.BytesIO()
    picture.save(encoded, format="WEBP", quality=85)
    data = base64.b64encode(encoded.getvalue()).decode()
    caption = "<br>".join([f"<strong>{escape(_short(title))}</strong>", *map(escape, lines)])
    return f'<figure><img src="data:image/webp;base64,{data}" alt=""><figcaption>{caption}</figcaption></figure>'


def _short(name: str) -> str:
    return name if len(name) <= SHOWN_NAME else f"{name[: SHOWN_NAME - 1]}…"
