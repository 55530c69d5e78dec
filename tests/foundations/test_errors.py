"""Every error of the package has a kind, keeps it on its way, and ends a command with one sentence and exit code 2."""

import ast
import importlib
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset

import hf_sslgen
from hf_sslgen import command_line
from hf_sslgen.decoding import corrupt_image
from hf_sslgen.errors import (
    DiskFullError,
    DivergedError,
    HubError,
    InputError,
    OutOfMemoryError,
    ResourceError,
    SslgenError,
    WorkerError,
    reworded,
)
from hf_sslgen.interruption import InterruptedByRequestError
from hf_sslgen.launches import decided_by_main
from hf_sslgen.memory import naming_batch_size
from hf_sslgen.output_folder import require_held
from hf_sslgen.shortages import shortage_of
from hf_sslgen.study.execution.shared_facts import EstablishedElsewhereError
from hf_sslgen.study.protocols.candidate_runs import TakenOverError
from hf_sslgen.training.run_folder import require_disk_space
from hf_sslgen.work_claims import try_claim
from hf_sslgen.zoo.conversion.pickle_values import RefusedPickleError

PACKAGE = Path(hf_sslgen.__file__).parent

WORKERS_OWN = {EstablishedElsewhereError, TakenOverError}
"""Exceptions upon which a worker goes on with other cells; users never see them."""
CAUGHT_INSIDE = {RefusedPickleError}
"""Exceptions that the reading of published files turns into an InputError which names the file."""
KINDS = (InputError, DivergedError, ResourceError, HubError, WorkerError)


def exception_classes() -> Iterator[type[BaseException]]:
    """Those that modules define for others; what begins with an underscore never leaves its module."""
    for path in sorted(set(PACKAGE.rglob("*.py")) - set(PACKAGE.rglob("evaluate_modules/**/*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Error")]
        for name in names:
            module = ".".join(("hf_sslgen", *path.relative_to(PACKAGE).with_suffix("").parts))
            if not name.startswith("_"):
                found = vars(importlib.import_module(module))[name]
                assert issubclass(found, BaseException)
                yield found


def test_every_error_has_one_kind_and_the_exit_code() -> None:
    found = set(exception_classes()) - {InterruptedByRequestError, *WORKERS_OWN, *CAUGHT_INSIDE}
    assert found >= {SslgenError, *KINDS, DiskFullError, OutOfMemoryError}
    for each in found - {SslgenError}:
        assert issubclass(each, SslgenError), each
        assert sum(issubclass(each, kind) for kind in KINDS) == 1, each
        assert each.exit_code == 2
    assert issubclass(InterruptedByRequestError, KeyboardInterrupt)
    assert not any(issubclass(each, SslgenError) for each in WORKERS_OWN | CAUGHT_INSIDE)


def test_nothing_but_input_is_a_value_error() -> None:
    """Else a handler of a library's ValueError would take a full disk or an absent Hub for bad input."""
    assert [kind for kind in KINDS if issubclass(kind, ValueError | OSError | RuntimeError)] == [InputError]


def test_an_error_keeps_its_kind_when_it_is_reworded_and_sent() -> None:
    for kind in (*KINDS, DiskFullError, OutOfMemoryError):
        first = kind("the Hub", of_one_process=True)
        for again in (reworded(first, "it"), pickle.loads(pickle.dumps(reworded(first, "it")))):
            assert type(again) is kind
            assert (str(again), again.of_one_process) == ("it", True)
        assert str(first) == "the Hub"
    corrupt = reworded(corrupt_image(None, "image 3", "cut off"), "image 3 is cut off")
    assert (str(corrupt), corrupt.reason) == ("image 3 is cut off", "cut off")


def test_what_the_main_process_decides_keeps_its_kind() -> None:
    def refuse() -> None:
        raise HubError("the Hub can't be reached")

    with pytest.raises(HubError, match="can't be reached"):
        decided_by_main(refuse)


class _Stream(Dataset[int]):
    """A dataset whose only item fails to load."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise HubError("the Hub can't be reached; run this again")


def raise_in_loader_worker(folder: Path) -> None:
    list(DataLoader(_Stream(), num_workers=1))


def run_out_of_memory(folder: Path) -> None:
    raise MemoryError


def run_out_of_memory_with_batches(folder: Path) -> None:
    with naming_batch_size("--per_device_train_batch_size", 64):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")


def need_more_disk_than_there_is(folder: Path) -> None:
    require_disk_space(folder / "run", 10**15, 3)


def lose_a_claim(folder: Path) -> None:
    claim = try_claim(folder, "work")
    assert claim is not None
    claim.path.unlink()
    require_held(claim)


@pytest.mark.parametrize(
    ("meet", "sentence"),
    [
        (raise_in_loader_worker, "the Hub can't be reached; run this again"),
        (run_out_of_memory, "not enough memory (MemoryError); give a smaller --batch_size, or fewer images"),
        (
            run_out_of_memory_with_batches,
            "not enough memory for --per_device_train_batch_size 64; give a smaller value",
        ),
        (need_more_disk_than_there_is, "output_dir '"),
        (lose_a_claim, "output_dir '"),
    ],
)
def test_each_ends_a_command_with_one_sentence(
    meet: Callable[[Path], None], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.run_main(lambda: meet(tmp_path))
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"error: {sentence}")


def test_who_meets_it_says_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several processes the first speaks for all, but for what it does not know of."""
    monkeypatch.setenv("RANK", "1")
    for alone, said in ((False, ""), (True, "error: it is gone\n")):

        def meet(alone: bool = alone) -> None:
            raise WorkerError("it is gone", of_one_process=alone)

        with pytest.raises(SystemExit) as ended:
            command_line.run_main(meet)
        assert ended.value.code == 2
        assert capsys.readouterr().err == said


def test_shortages_behind_other_errors() -> None:
    behind = RuntimeError("while a data set was prepared")
    behind.__cause__ = OSError(28, "No space left on device")
    assert isinstance(shortage_of(behind), DiskFullError)
    assert isinstance(shortage_of(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), OutOfMemoryError)
    assert shortage_of(RuntimeError("a tensor")) is None
    assert shortage_of(ValueError("out of memory")) is None
    own = DiskFullError("no room")
    assert shortage_of(own) is own
