"""The benchmark of fine-tuning: its contenders do the same work, and a run from end to end."""

import copy
import json
from pathlib import Path

import finetune
import pytest
import torch
from measured.training import BARE, EXAMPLE, FIRST_EPOCH, RECIPE, SYNTHETIC, Contenders, Task, write_pictures
from measured.workloads import WORKLOADS, Workload

TINY = Workload("resnet10t", 32, 4, 4, 1, channels_last=True)


@pytest.mark.slow
def test_the_bare_loop_ends_with_the_weights_of_the_recipe(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 8, 32)
    task = Task(TINY, "fp32", torch.device("cpu"), tmp_path / "pictures", 4, 3, "cpu")
    contenders = Contenders(task, tmp_path)
    model = contenders.backbone.model
    start = copy.deepcopy(model.state_dict())
    ends = []
    for contender in (RECIPE, BARE):
        model.load_state_dict(start)
        assert contenders.calls()[contender]() > 0
        ends.append(copy.deepcopy(model.state_dict()))
    for name, tensor in ends[0].items():
        torch.testing.assert_close(tensor, ends[1][name], atol=1e-6, rtol=1e-5)
    assert not torch.equal(ends[0]["timm_model.fc.weight"], start["timm_model.fc.weight"])


def test_a_limit_is_missed_if_the_recipe_is_too_slow() -> None:
    def row(contender: str, ratio: float) -> finetune.Measured:
        return finetune.Measured("net", "fp32", 8, contender, 10.0, ratio, None)

    assert finetune.missed([row(RECIPE, 1.0), row(FIRST_EPOCH, 2.0), row(BARE, 0.95), row(EXAMPLE, 1.31)]) == []
    assert len(finetune.missed([row(BARE, 0.94), row(SYNTHETIC, 0.9), row(EXAMPLE, 1.29)])) == 2


@pytest.mark.slow
def test_it_runs_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORKLOADS, "tiny", TINY)
    assert finetune.main(["--quick", "--only", "tiny", "--device", "cpu", "--json", str(tmp_path / "found.json")]) == 0
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [row["contender"] for row in rows] == [RECIPE, FIRST_EPOCH, BARE, SYNTHETIC, EXAMPLE]
    assert all(row["images_per_second"] > 0 for row in rows)
