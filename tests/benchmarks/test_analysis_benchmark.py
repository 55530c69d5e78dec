"""The analysis's benchmark from end to end on tiny networks, and its contenders against each other."""

import json
from contextlib import ExitStack
from pathlib import Path

import analysis
import numpy as np
import pytest
import torch
from measured import peer_stack as peers
from measured.growth import ONE_PASS, PLAIN
from measured.measuring import seconds_in_turns
from measured.whole_analysis import VARIANTS, OnePass, Setting, plain_passes
from measured.workloads import WORKLOADS, Workload, timm_network

from hf_sslgen.analysis.transforms import VARIANTS as ALL_VARIANTS

TINY_CNN = Workload("resnet10t", 32, 4, 4, 1, channels_last=True)
TINY_VIT = Workload(
    "vit_tiny_patch16_224",
    32,
    4,
    4,
    1,
    channels_last=False,
    patch_size=8,
    model_args={"img_size": 32, "patch_size": 8, "depth": 2},
)
CPU = torch.device("cpu")


@pytest.mark.parametrize("workload", [TINY_CNN, TINY_VIT], ids=lambda workload: workload.name)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_one_pass_finds_what_plain_passes_find(workload: Workload, precision: str) -> None:
    setting = Setting(workload, precision, CPU, 4)
    plain = plain_passes(setting)()
    with ExitStack() as stack:
        one_pass = OnePass(setting, stack)
        found = one_pass()
        accuracy, calibration, concentration = one_pass.metrics()
    assert len(plain) == 1 + len(VARIANTS)
    tolerance = 1e-4 if precision == "fp32" else 0.05
    torch.testing.assert_close(found["logits"], plain[0], rtol=tolerance, atol=tolerance)
    assert sum(name.endswith(" features") for name in found) == len(VARIANTS)
    assert accuracy.n == calibration.n == concentration.n == 4


@pytest.mark.parametrize("workload", [TINY_CNN, TINY_VIT], ids=lambda workload: workload.name)
def test_captum_on_the_peers_layer_gives_the_same_maps(workload: Workload) -> None:
    from captum.attr import LayerGradCam

    from hf_sslgen.preprocessing import normalise

    setting = Setting(workload, "fp32", CPU, 4)
    with ExitStack() as stack:
        one_pass = OnePass(setting, stack)
        found = one_pass()
        inputs = normalise(setting.pixels, one_pass.preprocessing)
    network = timm_network(workload, "fp32", CPU, setting.layout)
    layer = peers.attributed_layer(network, setting)
    classes = found["logits"].argmax(dim=1)
    theirs = LayerGradCam(network, layer).attribute(inputs, target=classes).detach().squeeze(1)
    # Theirs is of the raw logit, so it differs from ours by the map of the mean logit.
    of_all = [
        LayerGradCam(network, layer).attribute(inputs, target=index).detach().squeeze(1)
        for index in range(network.num_classes)
    ]
    centred = theirs - torch.stack(of_all).mean(dim=0)
    np.testing.assert_allclose(found["maps"], centred, atol=1e-5 * float(centred.abs().max()))


def test_peers_have_a_picture_transform_for_each_variant() -> None:
    transforms = peers.on_pictures(64)
    assert set(transforms) == {(variant.transform, variant.severity) for variant in VARIANTS}
    setting = Setting(WORKLOADS["shipped twin"], "fp32", CPU, 2)
    clean = setting.pixels.float() / 255
    for key, transform in transforms.items():
        if key[0] == "resized_crop":
            continue  # cut elsewhere, at random
        ours = ALL_VARIANTS[key](clean, range(2), 0)
        theirs = torch.stack([peers.F.pil_to_tensor(transform(picture)) for picture in peers.pictures_of(setting)])
        assert (theirs / 255 - ours).abs().mean() < 1.5 / 255, key


@pytest.mark.skipif(bool(peers.missing()), reason=f"needs {', '.join(peers.REQUIRED)}")
@pytest.mark.parametrize("workload", [TINY_CNN, TINY_VIT], ids=lambda workload: workload.name)
def test_the_peer_stack_runs(workload: Workload) -> None:
    seconds = seconds_in_turns({"peers": peers.peer_stack(Setting(workload, "fp32", CPU, 4))}, 1)
    assert seconds["peers"][0] > 0.0


@pytest.mark.parametrize(
    "memory",
    [False, pytest.param(True, marks=pytest.mark.slow)],  # memory takes a fresh process per contender
)
def test_it_prints_a_table_and_writes_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], memory: bool
) -> None:
    monkeypatch.setattr(analysis, "WORKLOADS", {"tiny": TINY_CNN, "other": TINY_VIT})
    monkeypatch.setattr(analysis, "missing", lambda: ["quantus"])
    path = tmp_path / "ratios.json"
    arguments = ["--quick", "--only", "tiny", "--precision", "fp32", "--json", str(path)]
    assert analysis.main([*arguments, *(["--check"] if memory else ["--no_memory"])]) == 0
    printed = capsys.readouterr().out
    assert "| tiny | fp32 | one pass |" in printed
    assert "peer stack: not measured, quantus is not installed: pip install -e '.[bench]'" in printed
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["forward_passes"] == 1 + len(VARIANTS)
    rows = {row["contender"]: row for row in written["rows"]}
    assert set(rows) == {PLAIN, ONE_PASS, analysis.METRICS}
    plain, one = rows[PLAIN], rows[ONE_PASS]
    assert plain["ratio"] == 1.0
    assert one["ratio"] == pytest.approx(one["seconds"] / plain["seconds"])
    if memory:
        assert plain["growth_ratio"] == 1.0
        assert one["growth_ratio"] == pytest.approx(one["growth"] / plain["growth"])


def _row(contender: str, ratio: float, growth_ratio: float | None) -> analysis.Measured:
    return analysis.Measured("tiny", "fp32", contender, 1.0, ratio, (ratio, ratio), 1.0, 1.0, growth_ratio)


@pytest.mark.parametrize(
    ("contender", "ratio", "growth_ratio", "keeps"),
    [
        (ONE_PASS, 1.1, 1.3, True),
        (ONE_PASS, 1.11, 1.0, False),
        (ONE_PASS, 1.0, 1.31, False),
        (ONE_PASS, 1.0, None, True),
        (analysis.PEERS, 3.0, 6.0, True),
    ],
)
def test_bars_are_those_of_the_one_pass(contender: str, ratio: float, growth_ratio: float | None, keeps: bool) -> None:
    assert analysis.keeps_bars(_row(contender, ratio, growth_ratio)) is keeps


def test_a_missed_bar_is_told_by_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(analysis, "WORKLOADS", {"tiny": TINY_CNN})
    monkeypatch.setattr(analysis, "measured", lambda name, *_: [_row(ONE_PASS, 1.2, None)])
    arguments = ["--precision", "fp32", "--no_memory"]
    assert analysis.main(arguments) == 0
    assert analysis.main([*arguments, "--check"]) == 1
    assert "time at most 1.1, memory at most 1.3; missed by tiny in fp32." in capsys.readouterr().out
