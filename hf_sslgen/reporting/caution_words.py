"""Put cautions into a few lines: one per kind of caution and backbone, never one per cell."""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_sslgen.reporting.vocabulary import setting_words
from hf_sslgen.study.inference.cautions import INVERSE_REGULARISATION, LEARNING_RATE, Caution, CautionKind
from hf_sslgen.study.inference.seed_averages import grouped
from hf_sslgen.study.inference.study_results import StudyResults

NAMED = 4
"""Up to this many domains are named; any others are counted."""

TITLES = {
    CautionKind.NOT_ABOVE_UNTRAINED: "Not shown to be more accurate than the untrained network",
    CautionKind.BELOW_LINEAR_PROBE: "Fine-tuning less accurate than the linear probe",
    CautionKind.NOT_CONVERGED: "Linear fit stopped before it converged",
    CautionKind.GRID_END: "Selected at an end of its grid",
}

MEANINGS = {
    CautionKind.NOT_ABOVE_UNTRAINED: "Whatever is measured on such a network may be due to its architecture alone.",
    CautionKind.BELOW_LINEAR_PROBE: "The training was too short, or its settings did not suit the network, so its "
    "numbers say little about the backbone.",
    CautionKind.NOT_CONVERGED: "The numbers depend on where the solver stopped; raise max_iterations. "
    "Cells of earlier versions record only whether any fit of the grid stopped early.",
    CautionKind.GRID_END: "A better value may lie beyond the grid; widen it and run the study again.",
}

HYPER_PARAMETERS = {LEARNING_RATE: "learning rate", INVERSE_REGULARISATION: "regularisation"}


@dataclass(frozen=True)
class CautionBlock:
    """All cautions of one kind.

    Attributes:
        title, meaning: what was found, and what follows from it.
        backbones: those affected; a name can also be an objective.
        domains: on how many domains, in words.
        lines: one per backbone and hyper-parameter, with the domains, runs and protocols concerned.
    """

    title: str
    meaning: str
    backbones: list[str]
    domains: str
    lines: list[str]


def caution_blocks(results: StudyResults) -> list[CautionBlock]:
    """Return the cautions of a study by kind, the gravest first."""
    num_domains = len({cell.domain for cell in results.cells})
    blocks = []
    for kind, of_kind in grouped(results.cautions, [c.kind for c in results.cautions]).items():
        subjects = grouped(of_kind, [(c.backbone, c.hyper_parameter) for c in of_kind])
        lines = [
            f"{f'{name}, {HYPER_PARAMETERS[parameter]}' if parameter else name}: {_where(found, num_domains)}"
            for (name, parameter), found in subjects.items()
        ]
        backbones = list(dict.fromkeys(c.backbone for c in of_kind))
        blocks.append(CautionBlock(TITLES[kind], MEANINGS[kind], backbones, _domains(of_kind, num_domains), lines))
    return blocks


def some_names(names: Sequence[str], most: int = NAMED) -> str:
    """Return the first names, and how many others there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _where(found: Sequence[Caution], num_domains: int) -> str:
    concerned, looked_at = sum(len(c.seeds) for c in found), sum(c.num_seeds for c in found)
    runs = f"{concerned} of {looked_at} runs" if concerned < looked_at else f"all {looked_at} runs"
    settings = "; ".join(dict.fromkeys(setting_words(c.protocol, c.labels) for c in found))
    names = some_names(list(dict.fromkeys(c.domain for c in found)))
    return f"{_domains(found, num_domains)} ({names}), in {'1 run' if looked_at == 1 else runs} ({settings})"


def _domains(found: Sequence[Caution], num_domains: int) -> str:
    return f"on {len({c.domain for c in found})} of {num_domains} domains"
