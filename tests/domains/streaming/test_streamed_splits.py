"""What is kept of a stream's measured splits: on disk, private, and gone with the process."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import warm_python
from datasets import ClassLabel

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.streaming.streamed_splits import StoredImages
from hf_sslgen.errors import InputError

PETS = ClassLabel(names=["cat", "dog"])
LABELS = {"train": [0, 1, 1] * 6, "validation": [0, 1] * 8, "test": [0, 1, 0] * 7}

KEEPS = """
import os, sys
from hf_sslgen.domains.streaming.streamed_splits import StoredImages
stored = StoredImages.of([{"bytes": b"picture", "path": None}])
print(stored.file, flush=True)
child = os.fork()
if child == 0:
    sys.exit()  # takes nothing away from the one that goes on
os.waitpid(child, 0)
print(stored[0]["image"]["bytes"].decode(), flush=True)
sys.stdin.readline()
"""


def _load(folder, **options):
    return load_domain(DomainArguments(str(folder), **options))


def test_pictures_come_back_as_they_were_written():
    values = [
        {"bytes": b"first", "path": "a.png"},
        None,
        {"bytes": b"", "path": None},
        {"bytes": b"last", "path": None},
    ]
    stored = StoredImages.of(iter(values))
    assert len(stored) == 4
    read = [stored[row]["image"] for row in (3, 0, 1, 2, 0)]
    assert [None if value is None else value["bytes"] for value in read] == [b"last", b"first", None, b"", b"first"]
    assert stored.file.stat().st_size == 9


@pytest.mark.parametrize("options", [{}, {"max_test_samples": 7, "max_eval_samples": 5}, {"test_seed": 3}])
def test_the_same_images_are_measured_as_of_prepared_data(hub_folder, options):
    folder = hub_folder(LABELS, PETS, shards=3)
    on_disk, streamed = _load(folder, **options), _load(folder, streaming=True, **options)
    for role in ("validation", "test"):
        one, other = vars(on_disk)[role], vars(streamed)[role]
        assert np.array_equal(one.sample_ids, other.sample_ids) and np.array_equal(one.labels, other.labels)
        assert one.fingerprint() == other.fingerprint()
        assert isinstance(other.dataset, StoredImages)  # none of them is held in memory


def test_each_process_has_a_folder_of_its_own_that_ends_with_it(tmp_path):
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[3])}

    def start() -> tuple[warm_python.WarmProcess, Path]:
        process = warm_python.start(["-c", KEEPS], env=environment, piped=True)
        assert process.stdout is not None
        file = Path(process.stdout.readline().strip())
        assert process.stdout.readline() == "picture\n"
        return process, file

    killed, left = start()
    beside, kept = start()
    assert left.parent != kept.parent and left.is_file() and kept.is_file()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert left.is_file()
    later, new = start()  # clears away what the dead left, and nothing of those who live
    assert not left.parent.exists() and kept.is_file() and new.is_file()
    for process in (beside, later):
        assert process.stdin is not None
        process.stdin.write("\n")
        process.communicate()
        assert process.returncode == 0
    assert not kept.parent.exists() and not new.parent.exists()


@pytest.mark.parametrize("role", ["validation", "test"])
def test_a_split_without_rows_is_refused(hub_folder, role):
    with pytest.raises(InputError, match=f"split '{role}' is empty"):
        _load(hub_folder({**LABELS, role: []}, PETS), streaming=True)
