"""The claims that a study can ask for: the file of claims, and how a study names them."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hf_sslgen.errors import InputError
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, METRICS
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.inference.claims.claim_verdicts import TESTS
from hf_sslgen.study.plan import expand
from hf_sslgen.study.published_claims import CLAIMS_FILE, published_claims, read_claims

STUDY = {
    "backbones": [{"location": "a/b", "name": "vit", "objective": "simclr"}],
    "domains": ["digits"],
}


def test_every_claim_names_numbers_of_the_catalogue_and_a_test() -> None:
    claims = published_claims()
    assert len(claims) > 10
    for claim in claims.values():
        assert claim.test in TESTS
        assert set(claim.numbers) | {claim.with_number or HEADLINE_ACCURACY} <= set(METRICS)
        assert all(text.endswith(".") for text in (claim.statement, claim.form))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": "guess"}, "claim 'accuracy': test is 'guess'; it must be one of difference, interaction"),
        ({"numbers": {"headline_accuracy": "better"}}, "claim 'accuracy': numbers is"),
        ({"numbers": {}}, "a claim needs `numbers` unless its test is `none`"),
        ({"with_number": "invariance"}, "`with_number` belongs to the test `rank_correlation`"),
        ({"id": "invariance"}, "the id 'invariance' is taken"),
        ({"id": "all"}, "the id 'all' is taken"),
        ({"forms": "x"}, "claim 'accuracy': unknown field 'forms'; did you mean 'form'?"),
    ],
)
def test_a_wrong_row_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    rows = yaml.safe_load(CLAIMS_FILE.read_text(encoding="utf-8"))["claims"]
    rows[0] |= change
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump({"claims": rows[::-1]}), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        read_claims(tmp_path / "claims.yaml")
    assert message in str(refused.value)


def test_a_study_asks_for_some_or_all_claims_and_its_cells_stay_the_same() -> None:
    without, one, everything = (
        parse_study({**STUDY, **asked}, "study")
        for asked in ({}, {"claims": ["small-targets", "accuracy"]}, {"claims": ["all"]})
    )
    assert without.claims == ()
    assert [claim.id for claim in one.claims] == ["accuracy", "small-targets"]
    assert [claim.id for claim in everything.claims] == list(published_claims())
    assert expand(without) == expand(replace(everything)) == expand(one)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["acuracy"], "study: claims: there is no claim 'acuracy'; did you mean 'accuracy'? known: all, accuracy, "),
        ([3], "study: claims: there is no claim 3; known: all, accuracy, accuracy-different, "),
        ([["accuracy"]], "study: claims: there is no claim ['accuracy']; "),
        ("all", "study: claims must be a list with at least one entry, found 'all'"),
    ],
)
def test_an_unknown_claim_is_refused_with_those_that_exist(asked: object, message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_study({**STUDY, "claims": asked}, "study")
    assert str(refused.value).startswith(message)
