"""Claims are held by one living process at a time, whatever dies in between."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from hf_sslgen.work_claims import (
    LEASE_SECONDS,
    Claim,
    Owner,
    find_claim,
    find_claims,
    is_alive,
    kept_alive,
    release,
    still_held,
    this_process,
    try_claim,
)

COMPETITOR = """
import os, random, sys
from pathlib import Path
from hf_sslgen.work_claims import kept_alive, try_claim

root, names = Path(sys.argv[1]), [f"cell.{number}" for number in range(int(sys.argv[2]))]
chance = random.Random(os.getpid())

def is_running(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

while left := [name for name in names if not (root / "done" / name).exists()]:
    chance.shuffle(left)
    for name in left:
        claim = try_claim(root / "claims", name)
        if claim is None:
            continue
        with kept_alive(claim):
            if (root / "done" / name).exists():
                continue
            with open(root / "won", "a") as won:
                won.write(f"{name} {claim.generation} {os.getpid()}\\n")
            held = root / "held" / name
            if held.exists() and is_running(held.read_text()):
                (root / "violation").write_text(f"{name} is held by {held.read_text()} and {os.getpid()}")
            held.write_text(str(os.getpid()))
            if chance.random() < 0.08:
                os._exit(9)
            with open(root / "done" / name, "x"):  # fails where it was done before
                pass
            held.unlink()
"""

OWNER = """
import sys, time
from pathlib import Path
from hf_sslgen.work_claims import try_claim
assert try_claim(Path(sys.argv[1]), "cell") is not None
print("claimed", flush=True)
time.sleep(600)
"""


def test_competing_processes_that_die_do_everything_once(tmp_path: Path) -> None:
    for name in ("claims", "held", "done"):
        (tmp_path / name).mkdir()
    count = 300
    command = [sys.executable, "-c", COMPETITOR, str(tmp_path), str(count)]
    running, deaths = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)], 0
    while running:
        for process in list(running):
            if process.poll() is None:
                continue
            running.remove(process)
            assert process.stderr is not None
            assert process.returncode in (0, 9), process.stderr.read()
            if process.returncode == 9:
                deaths += 1
                running.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        time.sleep(0.01)
    assert not (tmp_path / "violation").exists(), (tmp_path / "violation").read_text()
    assert len(list((tmp_path / "done").iterdir())) == count
    wins = (tmp_path / "won").read_text().splitlines()
    assert len(wins) == count + deaths  # each death cost one more claim, and nothing else was claimed twice
    assert deaths > 5
    assert len({tuple(win.split()[:2]) for win in wins}) == len(wins)  # each generation was won once
    assert list((tmp_path / "claims").glob("*.json")) == []


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a process that claims `cell`; it is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "claimed\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def age(claim: Claim, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(claim.path, (then, then))


def claim_of(folder: Path, name: str, owner: Owner, generation: int = 1) -> Claim:
    path = folder / f"{name}.{generation}.json"
    path.write_text(json.dumps(asdict(owner)))
    return Claim(name, generation, path, owner)


def test_a_living_owner_keeps_its_claim_however_old(owner: Callable[[], object], tmp_path: Path) -> None:
    owner()
    found = find_claim(tmp_path, "cell")
    assert found is not None
    age(found, 10 * LEASE_SECONDS)
    assert try_claim(tmp_path, "cell") is None


def test_the_claim_of_a_killed_owner_is_overtaken_at_once(owner: Callable[[], object], tmp_path: Path) -> None:
    process = owner()
    assert isinstance(process, subprocess.Popen)
    process.kill()
    process.wait()
    claim = try_claim(tmp_path, "cell")
    assert claim is not None and claim.generation == 2
    release(claim)
    assert list(tmp_path.glob("*.json")) == []


def test_a_suspended_owner_loses_its_claim_after_the_lease(owner: Callable[[], object], tmp_path: Path) -> None:
    process = owner()
    assert isinstance(process, subprocess.Popen)
    found = find_claim(tmp_path, "cell")
    assert found is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    assert try_claim(tmp_path, "cell") is None
    age(found, LEASE_SECONDS + 1)
    claim = try_claim(tmp_path, "cell")
    assert claim is not None and claim.generation == 2
    assert not still_held(found)
    process.send_signal(signal.SIGCONT)
    release(found)  # as the first owner would, had it gone on: the claim is not its own any more
    assert still_held(claim)


def test_a_reused_process_number_is_not_the_owner(tmp_path: Path) -> None:
    claim_of(tmp_path, "cell", replace(this_process(), started="1"))
    claim = try_claim(tmp_path, "cell")
    assert claim is not None and claim.generation == 2


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"boot": "before"}])
def test_an_owner_elsewhere_is_dead_after_the_lease(change: dict[str, str], tmp_path: Path) -> None:
    claim = claim_of(tmp_path, "cell", replace(this_process(), process=1, **change))
    assert is_alive(claim)
    assert try_claim(tmp_path, "cell") is None
    age(claim, LEASE_SECONDS + 1)
    assert not is_alive(claim)
    assert try_claim(tmp_path, "cell") is not None


def test_a_claim_that_can_not_be_read_is_dead_after_the_lease(tmp_path: Path) -> None:
    (tmp_path / "cell.3.json").write_text("{")
    claim = find_claim(tmp_path, "cell")
    assert claim is not None and claim.owner is None
    assert try_claim(tmp_path, "cell") is None
    age(claim, LEASE_SECONDS + 1)
    overtaking = try_claim(tmp_path, "cell")
    assert overtaking is not None and overtaking.generation == 4


def test_names_with_dots_are_told_apart(tmp_path: Path) -> None:
    claims = [try_claim(tmp_path, name) for name in ("cell", "cell.1", "cell.1.2")]
    assert None not in claims
    assert {claim.name for claim in find_claims(tmp_path)} == {"cell", "cell.1", "cell.1.2"}
    assert claims[0] is not None
    release(claims[0])
    assert {claim.name for claim in find_claims(tmp_path)} == {"cell.1", "cell.1.2"}


def test_a_claim_ends_with_its_block_also_after_an_error(tmp_path: Path) -> None:
    claim = try_claim(tmp_path, "cell")
    assert claim is not None
    with pytest.raises(RuntimeError), kept_alive(claim):
        assert try_claim(tmp_path, "cell") is None
        raise RuntimeError
    assert find_claim(tmp_path, "cell") is None
    assert {path.name for path in tmp_path.iterdir()} <= {".clock"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_during_the_release_comes_after_it(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(claim: Claim) -> None:
        os.kill(os.getpid(), number)
        release(claim)

    monkeypatch.setattr("hf_sslgen.work_claims.release", interrupted)
    claim = try_claim(tmp_path, "cell")
    assert claim is not None
    with pytest.raises(KeyboardInterrupt), kept_alive(claim):
        pass
    assert list(tmp_path.iterdir()) == []
