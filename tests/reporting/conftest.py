"""Stores of synthetic cells, built once."""

from collections.abc import Callable

import pytest
from fake_study import Study, build_study

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
