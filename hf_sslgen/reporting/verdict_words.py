"""Words of a verdict: names, accuracies, and what may be said of a lead."""

from collections.abc import Iterable, Mapping, Sequence

from hf_sslgen.names import printable, shorten
from hf_sslgen.reporting.confound_words import differing_words
from hf_sslgen.reporting.vocabulary import format_decimals, format_value
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.backbone_ranking.contestants import find_contestants
from hf_sslgen.study.inference.backbone_ranking.ranking import Ranking
from hf_sslgen.study.inference.confounds import confounds
from hf_sslgen.study.inference.contrasts import are_twins, role_of
from hf_sslgen.study.inference.known_backbones import KnownBackbone, known_backbones
from hf_sslgen.study.inference.leads import Lead
from hf_sslgen.study.inference.seed_averages import grouped
from hf_sslgen.zoo.backbone_registry import UNTRAINED
from hf_sslgen.zoo.display_names import display_names

PLACE_WIDTH = 32
MAX_DECIMALS = 4

COULD_BE_LUCK = "could be luck"
COULD_STILL_BE_LUCK = "could still be luck"
MORE_THAN_LUCK = "is more than luck"
UNTOLD = "whether that is luck is unknown"


class Speaker:
    """Names the backbones of a study as a person would."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        cells = list(cells)
        contestants = find_contestants(cells)
        of_settings = grouped(cells, [(cell.protocol, cell.labels) for cell in cells]).values()
        objectives = {each.name: each.objective for each in contestants}
        self._objectives: Mapping[str, str] = objectives | {cell.backbone: cell.objective for cell in cells}
        self._names = display_names(self._objectives)
        known = known_backbones(cells)
        everyone = [*contestants, *(each for members in of_settings for each in find_contestants(members))]
        self._known = known | {each.name: known[each.backbones[0]] for each in everyone}
        self._has_twins = self.have_twins(list(known))

    def name(self, name: str) -> str:
        """Return a backbone's name in a sentence, such as `SimCLR` or `the supervised twin`."""
        short, objective = self._names.get(name, name), self._objectives.get(name, "")
        if short == objective == "supervised":
            return "the supervised twin" if self._has_twins else "the supervised backbone"
        return "the untrained control" if short == objective == UNTRAINED else short

    def known(self, names: Iterable[str]) -> list[KnownBackbone]:
        """Return what is known of these backbones, as far as their cells are here."""
        return [self._known[name] for name in names if name in self._known]

    def differing(self, first: str, second: str) -> str:
        """Return what else a self-supervised and a supervised backbone differ in, such as `also differs in source data
        (a against b)`, in the order given; empty for twins, and for two backbones of one kind."""
        known = self.known((first, second))
        is_of_both = {role_of(each.objective) for each in known} == {"ssl", "supervised"}
        return differing_words(*known) if is_of_both else ""

    def have_twins(self, names: Sequence[str]) -> bool:
        """Return whether one of these backbones is self-supervised and another its supervised twin."""
        known = self.known(names)
        return any(
            are_twins(first, second) and not confounds(first, second).confounding
            for first in known
            for second in known
        )

    def sentence(self, text: str) -> str:
        """Return a clause as a sentence: with a full stop, and a capital unless it begins with a backbone's name."""
        is_name = any(text.startswith(short) for short in self._names.values())
        return f"{text if is_name else text[0].upper() + text[1:]}."


def place_name(domain: str) -> str:
    """Return a domain's name, short and printable."""
    return shorten(printable(domain), PLACE_WIDTH)


def where_words(ranking: Ranking) -> tuple[str, str]:
    """Return where a ranking was made, as words before and after a clause; one of the two is empty."""
    if ranking.is_over_domains:
        return f"over {len(ranking.domains)} domains, ", ""
    return "", f" on {place_name(ranking.domains[0])}"


def accuracy_words(value: float, metric: str) -> str:
    """Return an accuracy, such as `89.9%`."""
    return format_value(value, metric, with_unit=True)


def points_words(value: float) -> str:
    """Return the size of a difference in accuracy, such as `2.8 points`."""
    text = format_decimals(abs(100.0 * value), 1)
    return f"{text} point{'' if text == '1.0' else 's'}"


def interval_words(low: float, high: float, is_claimed: bool = False) -> str:
    """Return an interval of a difference in points, such as `0.4 to 5.3`, with enough decimals that a claimed one does
    not seem to include zero."""
    decimals = 1
    while is_claimed and decimals < MAX_DECIMALS and float(f"{min(abs(low), abs(high)) * 100:.{decimals}f}") == 0:
        decimals += 1
    return f"{format_decimals(100.0 * low, decimals)} to {format_decimals(100.0 * high, decimals)}"


def luck_words(lead: Lead) -> str:
    """Return what may be said of a lead: `could be luck`, `is more than luck`, or `could still be luck` if its
    interval excludes zero, but not after adjustment for all pairs."""
    if lead.is_claimed:
        return MORE_THAN_LUCK
    return COULD_STILL_BE_LUCK if lead.excludes_zero else COULD_BE_LUCK


def lead_clause(lead: Lead) -> str:
    """Return a clause on a lead, such as `the lead of 2.8 points could be luck (−0.1 to 5.3)`."""
    if not lead.has_interval:
        return UNTOLD
    bounds = interval_words(lead.low, lead.high, lead.is_claimed)
    return f"the lead of {points_words(lead.value)} {luck_words(lead)} ({bounds})"


def comparison_clause(first: str, second: str, lead: Lead) -> str:
    """Return a clause on the difference between two backbones, whichever is ahead."""
    if round(1000 * lead.value) == 0:
        bounds = f" ({interval_words(lead.low, lead.high, lead.is_claimed)} points)" if lead.has_interval else ""
        return f"{first} is as accurate as {second}{bounds}"
    amount = f"{first} is {points_words(lead.value)} {'more' if lead.value > 0 else 'less'} accurate than {second}"
    if not lead.has_interval:
        return f"{amount}; {UNTOLD}"
    low, high = (lead.low, lead.high) if lead.value > 0 else (-lead.high, -lead.low)
    return f"{amount} ({interval_words(low, high, lead.is_claimed)}), which {luck_words(lead)}"
