"""Stores of synthetic cells, built once."""

import sys
from collections.abc import Callable, Iterator

import pytest
from fake_study import Study, build_study

from hf_sslgen.reporting.figures import figure_drawer
from hf_sslgen.study.inference.study_results import StudyResults, infer


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build_study(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def results(study: Study) -> StudyResults:
    return infer(study.cells)


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    return build_study


@pytest.fixture(scope="session", autouse=True)
def figures_drawn_here() -> Iterator[None]:
    """Draw figures in the tests' own process: starting others takes the processors longer than it saves time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_drawer, "WORTH_PROCESSES", sys.maxsize)
        yield
