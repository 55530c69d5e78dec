"""The table of what a preflight names."""

import pytest
from preflight_power import TWINS, main


def test_every_fault_of_a_shipped_twin_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("preflight_power.TWINS", TWINS[1:2])
    assert main([]) == 0
    header, _, untouched, *faults = capsys.readouterr().out.splitlines()
    assert header == "| fault | twin-resnet18-simclr, 64 px |"
    assert untouched == "| untouched | silent |"
    assert len(faults) == 9
    assert all(line.endswith(("| named |", "| other |")) for line in faults)
    assert sum(line.endswith("| other |") for line in faults) <= 1
