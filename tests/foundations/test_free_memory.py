"""The memory that can be allocated is the machine's, or what control groups leave of it."""

from pathlib import Path

import pytest

from hf_sslgen.free_memory import UNREPORTED, available_memory

GIB = 2**30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("own", "groups", "expected"),
    [
        ("0::/\n", {}, 16 * GIB),
        ("0::/\n", {"memory.max": f"{4 * GIB}", "memory.current": f"{3 * GIB}"}, GIB),
        (
            "0::/job/step\n",
            {
                "job/memory.max": f"{4 * GIB}",
                "job/memory.current": f"{3 * GIB}",
                "job/memory.stat": f"anon 5\ninactive_file {GIB}\n",
                "job/step/memory.max": "max",
            },
            2 * GIB,
        ),
        (
            "5:cpu:/\n4:memory:/job\n",
            {"memory/job/memory.limit_in_bytes": f"{GIB}", "memory/job/memory.usage_in_bytes": f"{2 * GIB}"},
            0,
        ),
    ],
)
def test_the_tightest_limit_counts(own, groups, expected, tmp_path):
    meminfo = f"MemTotal: {32 * GIB // 1024} kB\nMemAvailable: {16 * GIB // 1024} kB\n"
    processes = write(tmp_path / "proc", {"meminfo": meminfo, "self/cgroup": own})
    assert available_memory(processes, write(tmp_path / "groups", groups)) == expected


def test_a_system_that_reports_nothing_gets_little(tmp_path):
    assert available_memory(tmp_path, tmp_path) == UNREPORTED
    assert available_memory() > 0
