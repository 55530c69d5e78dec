"""Stores of synthetic cells, built once."""

from collections.abc import Callable

import pytest
from fake_study import Study, build_large_study, build_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build_study(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def large_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return build_large_study(tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    return build_study
