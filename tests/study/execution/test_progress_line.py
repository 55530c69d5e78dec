"""The line of progress: what is done, how fast, and what runs now."""

from pathlib import Path

import pytest

from hf_sslgen.analysis.trunk_passes import are_followed, count_passes
from hf_sslgen.decoding import CorruptImageError
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.estimate import Sizes
from hf_sslgen.study.execution import progress_line as module
from hf_sslgen.study.execution import worker
from hf_sslgen.study.execution.progress_line import attempted, expected_images, progress_line
from hf_sslgen.study.execution.rounds import Outcome
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import CellSpec, expand

SIZES = Sizes(train=80, validation=20, test=50)


@pytest.fixture
def specs() -> tuple[CellSpec, ...]:
    backbones = [{"twin_set": "resnet18-tiny-imagenet-100"}]
    return expand(parse_study({"backbones": backbones, "domains": ["digits"], "protocols": ["linear"]}, "study"))


def test_features_that_are_stored_are_not_expected_again(specs: tuple[CellSpec, ...]) -> None:
    first, second = (spec for spec in specs if spec.backbone.name == specs[0].backbone.name)
    alone = expected_images([second], lambda _: SIZES, SIZES)[second]
    together = expected_images([second, first], lambda _: SIZES, SIZES)
    assert together[second] == alone and together[first] < expected_images([first], lambda _: None, SIZES)[first]


def test_a_line_is_printed_now_and_then(
    specs: tuple[CellSpec, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with progress_line(dict.fromkeys(specs, 100.0)) as line:
        for spec in specs[:3]:
            with attempted(line, spec):
                assert are_followed()
                for _ in range(5):
                    now[0] += 2.0
                    count_passes(40)  # more than expected: a cell counts no more than its share
            line.ends(spec, was_computed=True)
        line.ends(specs[3], was_computed=False)
        assert line.line().startswith("4 of 8 cells, 40 s left, 10 images/s, now ")
    assert not are_followed()
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1 and printed[0] == "1 of 8 cells, 57 s left, 12 images/s, now SimCLR on digits, pretrained"


def test_nothing_is_printed_where_another_process_shows_it(
    specs: tuple[CellSpec, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_line(dict.fromkeys(specs, 1.0), is_shown=False) as line:
        for spec in specs:
            line.ends(spec, was_computed=True)
    assert capsys.readouterr().err == ""


def test_a_spoilt_picture_is_met_once(
    specs: tuple[CellSpec, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, met = Store(tmp_path), []
    store.prepare()

    def work_on(spec: CellSpec, *_: object) -> Outcome:
        met.append(spec)
        if spec.protocol is None:
            return Outcome.COMPUTED
        store.record_failure(spec, CorruptImageError("image 3 can't be decoded: truncated"))
        return Outcome.FAILED

    monkeypatch.setattr(worker, "work_on", work_on)
    assert run_worker(specs, store) == {"computed": 4, "failed": 4}
    assert len(met) == 5 and sum(spec.protocol is not None for spec in met) == 1
    errors = {store.failure(spec).error for spec in specs if spec.protocol is not None}  # type: ignore[union-attr]
    assert errors == {"CorruptImageError: image 3 can't be decoded: truncated"}
