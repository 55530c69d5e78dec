"""The tables of published results: complete, mapped to rows of the zoo and to domains, and checked when read."""

import shutil
from pathlib import Path

import pytest

from hf_sslgen.domains.domain_registry import find_domain
from hf_sslgen.errors import InputError
from hf_sslgen.study.protocols.presets import PRESETS
from hf_sslgen.study.reference.published_values import (
    TABLES,
    ReferenceTable,
    read_tables,
    reference_tables,
    stated_references,
)
from hf_sslgen.zoo.backbone_registry import find_backbone


def _table(name: str) -> ReferenceTable:
    return reference_tables()[name]


@pytest.mark.parametrize("name", reference_tables())
def test_every_network_and_domain_has_a_row(name: str) -> None:
    table = _table(name)
    assert table.values and table.source
    assert table.protocol is None or table.protocol in PRESETS
    for value in table.values:
        assert find_backbone(value.backbone) is not None, value
        assert value.domain is None or find_domain(value.domain) is not None, value
        assert value.value is None or 0 < value.value < 1, value
        assert value.value is not None or value.inverse_regularisation is not None, value


def test_only_voc_has_no_registered_domain() -> None:
    without = {(t.name, v.network) for t in reference_tables().values() for v in t.values if v.domain is None}
    assert {name for name, _ in without} == {"ssl-transfer-linear", "sfda-finetune"}
    for name, domains in (("ssl-transfer-linear", 11), ("sfda-finetune", 11)):
        of_network = [value.domain for value in _table(name).values if value.network == "swav"]
        assert len(of_network) == domains and of_network.count(None) == 1


def test_the_accuracy_is_the_one_by_which_the_domain_is_judged() -> None:
    for name in ("ssl-transfer-linear", "sfda-finetune"):
        for value in _table(name).values:
            domain = find_domain(value.domain) if value.domain is not None else None
            assert domain is None or domain.metric == value.metric, value


def test_selected_regularisations_are_those_of_the_authors(shared_data: Path) -> None:
    lines = (shared_data.parent / "reference" / "ssl-transfer-linear-c.tsv").read_text().splitlines()[2:]
    stated = [line.split("\t") for line in lines]
    assert len(stated) == 154
    values = _table("ssl-transfer-linear").values
    assert [value.network for value in values] == [network for _, network, _, _ in stated]
    assert [value.inverse_regularisation for value in values] == [float(c) for *_, c in stated]
    assert [value.inputs == "imagenet" for value in values] == [normalise == "yes" for *_, normalise, _ in stated]
    accuracies = {(v.network, v.domain): v.value for v in values if v.value is not None}
    assert accuracies == pytest.approx({("deepcluster-v2", "cifar10"): 0.9407, ("supervised", "cifar10"): 0.9147})


def test_fine_tuned_accuracies_are_those_of_the_nine_networks() -> None:
    values = _table("sfda-finetune").values
    assert len(values) == 99
    found = {(v.network, v.domain): v.value for v in values}
    assert found["supervised", "aircraft"] == pytest.approx(0.8464)
    assert found["pcl-v2", "sun397"] == pytest.approx(0.5882)
    assert found["moco-v2", "cifar100"] == pytest.approx(0.7127)


def test_accuracies_on_the_source_come_from_the_zoo() -> None:
    swav = [value for value in _table("imagenet-linear").values if value.backbone == "swav-800ep-resnet50"]
    assert [(v.value, v.domain, v.source) for v in swav] == [(0.753, "imagenet1k", "facebookresearch/swav, README")]
    assert {v.backbone for v in _table("imagenet-knn").values} >= {"dino-resnet50", "lightly-tico-100ep-resnet50"}


def test_a_name_is_stated_once_and_a_wrong_one_is_answered_with_those_that_exist() -> None:
    names = [table.name for table in stated_references(["imagenet-knn", "sfda-finetune", "imagenet-knn"], "reference")]
    assert names == ["imagenet-knn", "sfda-finetune"]
    with pytest.raises(InputError, match=r"reference: there is no table 'sfda'.*known: ssl-transfer-linear, "):
        stated_references(["sfda"], "reference")


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("tables.yaml", ("backbone: swav-800ep-resnet50", "backbone: swav"), "the zoo has no row 'swav'"),
        ("tables.yaml", ("domain: flowers102", "domain: flowers"), "there is no registered domain 'flowers'"),
        ("tables.yaml", ("domain: food101, ", ""), "state either its registered domain or why it is unregistered"),
        ("tables.yaml", ("adaptation: linear", "adaptation: probe"), "adaptation is 'probe'; known: linear"),
        ("tables.yaml", ("name: tllib-finetune", "name: sfda-finetune"), "table 'sfda-finetune' occurs twice"),
        ("tllib_finetune.csv", ("value", "accuracy"), "its columns must be network, domain, value"),
        ("tllib_finetune.csv", ("supervised,food", "labelled,food"), "line 4 names an unknown network or domain"),
        ("tllib_finetune.csv", ("85.1", "high"), "line 4: value is 'high'; it must be a number"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, file: str, change: tuple[str, str], message: str) -> None:
    folder = shutil.copytree(TABLES, tmp_path / "tables")
    text = (folder / file).read_text(encoding="utf-8")
    assert change[0] in text
    (folder / file).write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_tables(folder)
