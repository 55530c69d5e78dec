"""Where modules lie: data flows one way through the rooms, and a name says which module is meant."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import hf_sslgen

PACKAGE = Path(hf_sslgen.__file__).parent
MODULES = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in sorted(PACKAGE.rglob("*.py"))}
"""Path of each module by the parts of its name below the package, such as `("zoo", "locations")`."""

FLOW = {
    "zoo": 0,
    "domains": 0,
    "training": 1,
    "analysis": 2,
    "study": 3,
    "reporting": 4,
    "app": 5,
    "hub": 6,
    "commands": 7,
}
"""Rooms from left to right; the first two stand side by side."""

AT_THE_ROOT = {"hub_access"}
"""Folders that count as modules of the package's root."""

BESIDE = {"recipes", "scripts", "tests", "benchmarks"}
"""What uses the package from outside."""

TEMPLATES = {("evaluate_modules", "space_template"), ("hub", "demo_template")}
"""Folders of files that are copied into Spaces, where they import one another by plain names."""

CATALOGUE = "metrics.catalogue."
"""Modules of rows, one per number, which are as many as there are numbers."""

MOST_LINES = 260


def imports_of(path: Path, at_once: bool = False) -> Iterator[str]:
    """The full names of the modules, or of things in them, that a module imports: anywhere in it, or when it is itself
    imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path, at_once: bool = False) -> set[tuple[str, ...]]:
    """The modules of the package that a module imports, as keys of MODULES."""
    found = set()
    for name in imports_of(path, at_once):
        parts = tuple(name.split("."))
        if parts[0] == "hf_sslgen":
            below = parts[1:]
            while below and below not in MODULES and (*below, "__init__") not in MODULES:
                below = below[:-1]
            found.add(below)
    return found


def room_of(module: tuple[str, ...]) -> str:
    """The folder that a module is in, or "" at the package's root."""
    if module and module[0] in AT_THE_ROOT:
        return ""
    return module[0] if len(module) > 1 or (module and (*module, "__init__") in MODULES) else ""


def floor_of(room: str, module: tuple[str, ...]) -> str:
    """The folder of a room that a module is in, or the module's own name."""
    assert module[0] == room
    return module[1] if len(module) > 1 else ""


def is_to_the_left(module: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether a module may import another one: of its room, of one to the left, of `metrics`, or at the root."""
    room, target = room_of(module), room_of(other)
    if target in (room, "metrics"):
        return True
    if target == "":
        return room != "metrics"
    return room in FLOW and target in FLOW and FLOW[target] < FLOW[room]


def test_a_module_imports_from_rooms_to_its_left() -> None:
    """But for the package itself, which names what users may import from it, and imports nothing at once."""
    wrong = [
        f"{'.'.join(module)} imports {'.'.join(other)}"
        for module, path in MODULES.items()
        for other in own_imports(path)
        if module != ("__init__",) and not is_to_the_left(module, other)
    ]
    assert wrong == []


def test_metrics_need_numpy_and_scipy_alone() -> None:
    for module in (each for each in MODULES if each[0] == "metrics"):
        for name in imports_of(MODULES[module]):
            first = name.partition(".")[0]
            known = first in {"numpy", "scipy", *sys.stdlib_module_names} or name.startswith("hf_sslgen.metrics.")
            assert known, f"{'.'.join(module)} imports {name}"


def test_nothing_in_the_package_imports_what_lies_beside_it() -> None:
    for module, path in MODULES.items():
        assert BESIDE.isdisjoint(name.partition(".")[0] for name in imports_of(path)), module


@pytest.mark.parametrize(
    ("room", "floor", "upper"),
    [
        ("study", "config", {"cells", "execution", "inference", "plan"}),
        ("study", "plan", {"execution", "inference"}),
        ("study", "cells", {"execution", "inference"}),
        ("study", "protocols", {"cells", "execution", "inference"}),
        ("study", "execution", {"inference"}),
        ("study", "inference", {"execution", "protocols"}),
        ("reporting", "figures", {"page", "html_page"}),
        ("domains", "local", {"domain_loading", "pretraining_source", "streaming"}),
        ("domains", "streaming", {"domain_loading", "local", "pretraining_source"}),
    ],
)
def test_a_floor_does_not_import_from_the_one_above(room: str, floor: str, upper: set[str]) -> None:
    modules = [each for each in MODULES if each[0] == room and floor_of(room, each) == floor]
    assert modules
    for module in modules:
        used = {floor_of(room, other) for other in own_imports(MODULES[module]) if other and other[0] == room}
        assert upper.isdisjoint(used), f"{'.'.join(module)} imports from {upper & used}"


def test_modules_do_not_import_in_circles() -> None:
    waiting = {module: own_imports(path, at_once=True) & MODULES.keys() for module, path in MODULES.items()}
    while ready := [module for module, needed in waiting.items() if not needed & waiting.keys()]:
        for module in ready:
            del waiting[module]
    assert not waiting


def test_no_name_means_two_modules() -> None:
    names = [
        module[-1]
        for module in MODULES
        if module[-1] != "__init__" and module[:2] not in TEMPLATES and not is_evaluate_module(module)
    ]
    assert {name: count for name, count in Counter(names).items() if count > 1} == {}
    rooms = {path.parent.name for path in PACKAGE.rglob("__init__.py")} - {PACKAGE.name}
    of_commands = {module[-1] for module in MODULES if module[0] == "commands"}
    assert rooms & set(names) <= of_commands, "only a command has the name of the room that it shows"


def is_evaluate_module(module: tuple[str, ...]) -> bool:
    """Whether `evaluate.load` asks for this name: a script named as its folder, which is named as its metric."""
    return module[0] == "evaluate_modules" and len(module) == 3 and module[1] == module[2]


def test_a_module_says_what_it_is_and_is_read_in_one_sitting() -> None:
    texts = {".".join(module): path.read_text(encoding="utf-8") for module, path in MODULES.items()}
    assert [name for name, text in texts.items() if text and not ast.get_docstring(ast.parse(text))] == []
    lengths = {name: text.count("\n") for name, text in texts.items() if not name.startswith(CATALOGUE)}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}
