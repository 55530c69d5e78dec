"""The examples in the docstrings of the metrics give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import hf_sslgen.metrics

MODULES = [f"hf_sslgen.metrics.{module.name}" for module in pkgutil.iter_modules(hf_sslgen.metrics.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_there_are_examples_to_run():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [example for name in MODULES for example in finder.find(importlib.import_module(name)) if example.examples]
    assert len(found) >= 8
