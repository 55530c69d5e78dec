"""The benchmark of streams: what it makes, what it says, and a run from end to end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import streaming
from measured.streamed import FILES, HUB, PREPARED, Collages
from streaming import Memory, Speed

from hf_sslgen.domains.splits import content_id

ROOT = Path(__file__).parents[2]


def test_its_pictures_are_all_different(tmp_path):
    size = Collages(45, 20, True).write(tmp_path)
    parts = sorted((tmp_path / "data").glob("train-*"))
    tables = [pq.read_table(path) for path in parts]
    assert [len(table) for table in tables] == [20, 20, 5]
    files = [row["bytes"] for table in tables for row in table["image"].to_pylist()]
    assert sum(map(len, files)) == size and len({content_id(file) for file in files}) == 45
    for path, table in zip(parts, tables, strict=True):
        assert pq.read_table(path.with_name(path.name.replace("train", "test"))).equals(table)


@pytest.mark.parametrize(
    ("growth", "ratio", "kept"), [(199, 0.91, True), (201, 0.91, False), (199, 0.89, False), (-5, 1.2, True)]
)
def test_bars(growth, ratio, kept, capsys):
    memory = [Memory("training", 900, 900 + growth, (1000, 100_000)), Memory("evaluation", 900, 905, (1000, 100_000))]
    speed = [Speed(HUB, 90, 1.0, (1, 1)), Speed(FILES, 100, ratio, (0.8, 1)), Speed(PREPARED, 100, 0.95, (0.9, 1))]
    assert streaming.keeps_bars(memory, speed) == kept
    facts = {"quick": False, "images": 9, "rounds": 2, "workers": 0, "cores": 2}
    streaming._print(memory, speed, facts)
    said = capsys.readouterr().out
    assert f"| training | 900 | {900 + growth} | {growth} |" in said
    assert f"| streamed from disk | 100 | {ratio:.3f} | 0.800 to 1.000 |" in said
    assert said.rstrip().endswith("kept." if kept else "missed.")


@pytest.mark.slow
def test_it_runs_from_end_to_end(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "streaming.py", "--quick", "--json", tmp_path / "found.json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment["PYTHONPATH"] = str(ROOT)
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert {row["path"] for row in found["memory"]} == {"training", "evaluation"}
    assert [row["place"] for row in found["speed"]] == [HUB, FILES, PREPARED]
    assert all(row["images_per_second"] > 0 for row in found["speed"])
    assert "the ratios mean nothing" in finished.stdout
