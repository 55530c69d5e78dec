"""The configurations of studies that come with the project: they are read, planned and costed as their heads say."""

import re
from pathlib import Path

import pytest

from hf_sslgen.command_line import run_command
from hf_sslgen.domains.domain_registry import find_domain
from hf_sslgen.study import network_cost
from hf_sslgen.study.config import read_study
from hf_sslgen.study.plan import expand
from hf_sslgen.study.unconverted import unconverted_rows
from hf_sslgen.zoo.locations import registered

CONFIGURATIONS = {
    path.stem: path for path in (Path(__file__).parents[2] / "recipes" / "configs" / "study").glob("*.yaml")
}
PUBLISHED = ("ericsson_2021", "quick_resnet50", "tendle_hasan_2021")
LOCAL = ("runs/", "data/")
"""Where the heads of the other configurations say that networks and pictures are to be put."""


@pytest.fixture(autouse=True)
def nothing_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path / "zoo"))
    monkeypatch.delenv("HF_SSLGEN_ZOO_ORGANIZATION", raising=False)


def head_of(name: str) -> str:
    lines = CONFIGURATIONS[name].read_text(encoding="utf-8").splitlines()
    return " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_name_is_known(name: str) -> None:
    config = read_study(CONFIGURATIONS[name])
    assert expand(config, with_left_out=True)
    for backbone in config.backbones:
        is_local = backbone.location.removeprefix("untrained:").startswith(LOCAL)
        assert is_local or registered(backbone.location) is not None, backbone.location
    for domain in config.domains:
        assert domain.dataset_name.startswith(LOCAL) or find_domain(domain.dataset_name) is not None


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_head_says_what_to_convert(name: str) -> None:
    config = read_study(CONFIGURATIONS[name])
    (command,) = re.findall(r"hf-sslgen zoo convert (.*?) hf-sslgen study", head_of(name))
    needed = [row.id for row in unconverted_rows(backbone.location for backbone in config.backbones)]
    assert [word for word in command.split() if word != "\\"] == needed


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_head_says_what_the_dry_run_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(network_cost, "MOST_TIMED_SECONDS", 0.0)  # one image is enough
    run_command(
        "hf_sslgen.commands.study", [str(CONFIGURATIONS[name]), "--output_dir", str(tmp_path / "o"), "--dry_run"]
    )
    said, head = capsys.readouterr().out, head_of(name)
    cells = next(line for line in said.splitlines() if line.startswith("all")).split()[1]
    (hours,) = re.findall(r"a cell for the rest: ([0-9.,]+) GPU hours", said)
    assert f"The dry run counts {cells} cells: " in head
    assert re.search(f" {re.escape(hours)} GPU hours on an A100", head)
    assert "random weights in the same architecture" in said and "hf-sslgen zoo convert" in said


def test_the_study_of_the_seed_has_what_it_promises() -> None:
    config = read_study(CONFIGURATIONS["tendle_hasan_2021"])
    groups = [
        entry.group for domain in config.domains if (entry := find_domain(domain.dataset_name)) and entry.verified
    ]
    assert (groups.count("similar"), groups.count("different"), len(config.seeds)) == (6, 6, 3)
    objectives = {backbone.objective for backbone in config.backbones}
    assert {"supervised", "untrained"} < objectives and len(objectives) >= 7
    assert {protocol.preset for protocol in config.protocols} == {"linear", "full"}
    assert {backbone.source for backbone in config.backbones} == {"ImageNet-1k"}


def test_the_fourteen_networks_and_ten_of_eleven_targets() -> None:
    config = read_study(CONFIGURATIONS["ericsson_2021"])
    objectives = [each.objective for each in config.backbones if each.objective != "untrained"]
    assert len(objectives) == 14 == len(set(objectives))
    specs = expand(config)
    many_shot = {spec.domain_name for spec in specs if spec.protocol_name == "ssl-transfer"}
    few_shot = {spec.domain_name for spec in specs if spec.protocol_name.startswith("few-shot")}
    assert (len(many_shot), len(few_shot), many_shot & few_shot) == (10, 3, set())
