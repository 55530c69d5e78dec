"""Write a study's figures as files for papers."""

import re
from collections.abc import Iterable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from hf_sslgen.files import replace_files
from hf_sslgen.reporting.figures.figure_kinds import FigureKind
from hf_sslgen.reporting.figures.study_figures import study_figures
from hf_sslgen.study.inference.study_results import StudyResults

FIGURES = Path("report", "figures")
"""Where a study's figures are written, below its folder."""

PNG_DPI = 300
LONGEST_PART = 60


def write_figures(results: StudyResults, folder: Path, kind: FigureKind) -> list[Path]:
    """Write the figures of a study into `report/figures` of its folder, in place of earlier ones of the same kind.

    Equal results give equal files. Charts are vector graphics in PDF and SVG; pictures of images stay pixels.

    Returns:
        The files, named after domain, protocol, labels and content, such as `digits--linear--100--reliability.pdf`.
    """
    figures = list(study_figures(results))
    names = file_names((figure.name for figure in figures), kind)
    with replace_files(folder / FIGURES, obsolete=[f"*.{kind}"]) as unfinished:
        for figure, name in zip(tqdm(figures, desc="figures", disable=None, leave=False), names, strict=True):
            save_figure(figure.draw(), unfinished / name, kind)
    return [folder / FIGURES / name for name in names]


def save_figure(figure: Figure, path: Path, kind: FigureKind) -> None:
    """Write a figure; its file holds no time and no name of a program.

    Fonts are embedded in PDF as TrueType, which journals ask for, and drawn as outlines in SVG.
    """
    metadata: dict[str, None] = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
    }[kind]
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": path.name}):
        figure.savefig(path, format=kind, dpi=PNG_DPI, metadata=metadata)


def file_names(parts: Iterable[tuple[str, ...]], kind: str) -> list[str]:
    """Return distinct file names that are safe on any system, from the parts of each name."""
    found: list[str] = []
    taken: set[str] = set()
    for name in parts:
        plain = "--".join(re.sub(r"[^A-Za-z0-9.-]+", "-", part).strip("-.")[:LONGEST_PART] or "x" for part in name)
        unique, count = plain, 1
        while unique.lower() in taken:
            count += 1
            unique = f"{plain}--{count}"
        taken.add(unique.lower())
        found.append(f"{unique}.{kind}")
    return found
