"""A dry run needs no network and downloads nothing: it says cells, time, disk space and what is to be fetched."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from small_zoo import SMALL_ROWS, SMALL_SET, put_converted, use_small_zoo

from hf_sslgen.command_line import run_command
from hf_sslgen.geometry import Geometry
from hf_sslgen.study import network_cost as costs
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.dry_run import REFERENCE
from hf_sslgen.study.estimate import Estimate
from hf_sslgen.study.network_cost import network_cost
from hf_sslgen.study.plan import expand
from hf_sslgen.study.planned_downloads import download_lines

SUPERVISED, SIMCLR, BYOL = SMALL_ROWS
FULL = Geometry(224, 1.0, "bilinear")


def refuse(*_: Any) -> None:
    raise AssertionError("a dry run must not use the network")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's clients believe to be online, and every connection fails the test."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_a_plan_of_what_is_not_here_yet(
    study_content: Callable[..., dict[str, Any]],
    small_backbones: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use_small_zoo(tmp_path, monkeypatch, 32, {"file_size": 900_000_000})
    put_converted(SUPERVISED, small_backbones["timm_resnet"])
    content = study_content(
        backbones=[{"twin_set": SMALL_SET}, "timm/resnet18.a1_in1k", "somebody/network"],
        domains=["digits", "cub200", "sun397", "stl10", "somebody/images"],
        untrained_control=True,
        seeds=[0],
    )
    (tmp_path / "study.yaml").write_text(json.dumps(content))
    options = ["--output_dir", str(tmp_path / "o"), "--dry_run"]
    run_command("hf_sslgen.commands.study", [str(tmp_path / "study.yaml"), *options])
    said = capsys.readouterr().out
    cells = next(line for line in said.splitlines() if line.startswith("all")).split()[1:5]
    assert cells[:2] == [str(len(expand(parse_study(content, "study"), with_left_out=True)))] * 2
    assert cells[2].startswith(">")  # some sizes and a network are unknown
    assert f"`hf-sslgen zoo convert {SIMCLR} {BYOL}`: 2 backbones, about 1.8 GB." in said
    assert "Downloads: 2 backbones of unknown size (timm/resnet18.a1_in1k, somebody/network)." in said
    assert "Downloads: 4 datasets, about 15.5 GB for 2 and 2 of unknown size (stl10, somebody/images)." in said
    assert "`?` somebody/network" in said and "GPU hours, probably between" in said
    assert not (tmp_path / "o").exists()


def test_nothing_is_to_be_downloaded_for_what_comes_with_the_package(
    study_content: Callable[..., dict[str, Any]],
) -> None:
    specs = expand(parse_study(study_content(), "study"))
    assert download_lines(specs) == ["Downloads: nothing; everything is on this machine."]


@pytest.mark.parametrize(
    ("name", "giga_macs", "parameters"),
    [("timm/resnet18.a1_in1k", 1.82, 11.2), ("timm/vit_tiny_patch16_224", 1.26, 5.5)],
)
def test_operations_and_parameters_are_those_that_timm_publishes(
    name: str, giga_macs: float, parameters: float
) -> None:
    """Roughly, because some counts leave the products of attention out."""
    cost = network_cost(name, 0, FULL, batch_size=1)
    assert cost.flops == pytest.approx(2e9 * giga_macs, rel=0.15)
    assert cost.parameters == pytest.approx(1e6 * parameters, rel=0.02)
    assert cost.basis == "random weights" and cost.seconds is not None and 0 < cost.seconds < 5


def test_an_architecture_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = network_cost("timm/resnet10t.c3_in1k", 0, FULL, batch_size=1)
    monkeypatch.setattr(costs, "_seconds", refuse)
    assert network_cost("timm/resnet10t", 0, FULL, batch_size=1) == first


def test_a_large_network_is_counted_without_being_built(monkeypatch: pytest.MonkeyPatch) -> None:
    yardstick = network_cost("timm/resnet10t.c3_in1k", 0, FULL, batch_size=1)
    monkeypatch.setattr(costs, "YARDSTICK", "resnet10t")
    monkeypatch.setattr(costs, "LARGEST_BUILT", 6_000_000)
    built = costs._built("resnet14t", 224)
    cost = network_cost("timm/resnet14t.c3_in1k", 0, FULL, batch_size=1)
    assert cost.parameters == sum(parameter.numel() for parameter in built.parameters())
    assert yardstick.seconds and yardstick.flops and cost.flops
    assert cost.seconds == pytest.approx(yardstick.seconds * cost.flops / yardstick.flops)


def test_gpu_time_by_hand() -> None:
    assert REFERENCE.seconds(Estimate(1.0, 5e13, 0, 0)) == 5 + REFERENCE.seconds_per_cell
    assert REFERENCE.seconds(Estimate(1.0, None, 0, 0)) is None
