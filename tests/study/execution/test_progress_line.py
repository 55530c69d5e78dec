"""The line of progress: what is done, how fast, and what runs now."""

import pytest

from hf_sslgen.analysis.trunk_passes import are_followed, count_passes
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.estimate import Sizes
from hf_sslgen.study.execution import progress_line as module
from hf_sslgen.study.execution.progress_line import attempted, expected_images, progress_line
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
    assert len(printed) == 1 and printed[0] == "1 of 8 cells, 84 s left, 10 images/s, now supervised on digits, linear"


def test_nothing_is_printed_where_another_process_shows_it(
    specs: tuple[CellSpec, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_line(dict.fromkeys(specs, 1.0), is_shown=False) as line:
        for spec in specs:
            line.ends(spec, was_computed=True)
    assert capsys.readouterr().err == ""
