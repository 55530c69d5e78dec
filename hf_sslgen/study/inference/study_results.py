"""Everything that a report shows of a study, each level computed from the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hf_sslgen.study.backbone_costs import BackboneCost, costs_of
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.repeated_runs import with_stand_ins
from hf_sslgen.study.inference.backbone_ranking.ranking import Ranking, rank_all
from hf_sslgen.study.inference.cautions import Caution, find_cautions
from hf_sslgen.study.inference.claims.claim_evidence import Evidence
from hf_sslgen.study.inference.claims.claim_lines import ClaimLine
from hf_sslgen.study.inference.claims.claim_verdicts import judge_claims
from hf_sslgen.study.inference.contrasts import PairNames, compare_all
from hf_sslgen.study.inference.differences import Difference
from hf_sslgen.study.inference.interactions import Interaction, interactions
from hf_sslgen.study.inference.multiplicity import judge_together
from hf_sslgen.study.inference.seed_averages import TargetDifference, target_differences
from hf_sslgen.study.inference.target_groups import (
    GroupDifference,
    group_differences,
    headline_accuracies,
    headline_metrics_of,
)
from hf_sslgen.study.published_claims import Claim
from hf_sslgen.study.reference.published_values import ReferenceTable
from hf_sslgen.study.reference.reference_lines import ReferenceComparison, compare_with_tables


@dataclass(frozen=True)
class StudyResults:
    """The cells of a study and what is inferred from them; `claims` are the verdicts on those that it asks for, and
    `references` the published results that it asks for beside its own. `costs` are those of backbones by name, as far
    as they were measured at one place."""

    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    targets: tuple[TargetDifference, ...]
    groups: tuple[GroupDifference, ...]
    interactions: tuple[Interaction, ...]
    cautions: tuple[Caution, ...] = ()
    rankings: tuple[Ranking, ...] = ()
    claims: tuple[ClaimLine, ...] = ()
    references: tuple[ReferenceComparison, ...] = ()
    costs: Mapping[str, BackboneCost] = field(default_factory=dict)


def infer(
    cells: Sequence[Cell],
    pairs: PairNames | None = None,
    claims: Sequence[Claim] = (),
    references: Sequence[ReferenceTable] = (),
    costs: Sequence[BackboneCost] = (),
) -> StudyResults:
    """Compare the cells of a study and infer over its targets.

    Args:
        cells, pairs: as for `hf_sslgen.study.inference.contrasts.compare_all`.
        claims: of the literature, to be tested.
        references: tables of published results to set beside the study's own.
        costs: that were measured of these backbones, among others.

    Raises:
        InputError: two cells have the same backbone, domain, protocol, labels and seed.
    """
    of_all_seeds = with_stand_ins(cells)
    differences = compare_all(of_all_seeds, pairs)
    targets = target_differences(of_all_seeds, differences)
    results = infer_over(cells, differences, targets, headline_metrics_of(cells), are_stated=pairs is not None)
    compared, measured = compare_with_tables(cells, references), costs_of(cells, costs)
    rankings = rank_all(of_all_seeds, measured)
    return with_claims(replace(results, rankings=rankings, references=compared, costs=measured), claims)


def with_claims(results: StudyResults, claims: Sequence[Claim]) -> StudyResults:
    """Return the results with verdicts on claims from the literature."""
    evidence = Evidence(
        results.cells, results.targets, results.groups, results.interactions, headline_metrics_of(results.cells)
    )
    return replace(results, claims=judge_claims(claims, evidence))


def infer_over(
    cells: Sequence[Cell],
    differences: Sequence[Difference],
    targets: Sequence[TargetDifference],
    headline_metrics: Mapping[str, str],
    are_stated: bool = False,
) -> StudyResults:
    """Infer over targets from differences averaged over seeds, and judge all of them as one page.

    Args:
        cells, differences: what the targets were averaged from.
        targets: from `hf_sslgen.study.inference.seed_averages.target_differences`.
        headline_metrics: the kind of accuracy used for each domain.
        are_stated: whether the pairs that were compared are stated by the study.
    """
    groups = group_differences(targets, headline_metrics)
    between = interactions(targets, headline_metrics)
    judged = judge_together(targets, groups, between, headline_metrics, are_stated)
    cautions = find_cautions(cells, headline_accuracies(targets, headline_metrics))
    return StudyResults(tuple(cells), tuple(differences), judged.targets, judged.groups, judged.interactions, cautions)
