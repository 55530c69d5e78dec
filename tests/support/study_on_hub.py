"""Studies on a Hub: small stores, changes to them, and the contents of repositories."""

import json
from collections.abc import Callable
from pathlib import Path

from damage import change_json, number_named, reseal
from fake_study import SELF_SUPERVISED, SUPERVISED, FakeBackbone, Setting, write_study

from hf_sslgen.study.cells.cell_folder import cell_folder
from tests.loopback_hub import Hub

REPOSITORY = "org/study"
DOMAINS = (("photo-patches", "similar"),)

Command = Callable[..., str]


def add_cells(store: Path, protocol: str, backbones: tuple[FakeBackbone, ...] = (SUPERVISED, SELF_SUPERVISED)) -> None:
    """Cells of two backbones under one more protocol."""
    write_study(store / "cells", backbones, DOMAINS, settings=(Setting(protocol),))


def change_numbers(cell: Path, value: float = 0.123) -> None:
    """Another number that its records say nothing of, as another machine might have found."""
    metric = "covariance_effective_rank" if "pretrained" in cell.name else "temperature"
    change_json(cell / "results.json", lambda content: number_named(content, metric).update(value=value))
    reseal(cell)


def rewrite_identity(cell: Path, **changes: object) -> Path:
    """The cell under another identity, in the folder that belongs to it."""
    content = json.loads((cell / "cell.json").read_text())
    content["identity"] |= changes
    (cell / "cell.json").write_text(json.dumps(content))
    reseal(cell)
    return cell.rename(cell_folder(cell.parent, content["identity"]))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def cell_names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cells").iterdir())


def remote_files(hub: Hub, repository: str = REPOSITORY, kind: str = "dataset") -> dict[str, bytes]:
    """Everything that a repository holds, by path."""
    found = hub.site.store.find(f"{kind}s", repository)
    assert found is not None
    return {path: found.content(stored) for path, stored in found.commit("main").files.items()}


def commits(hub: Hub, repository: str = REPOSITORY, kind: str = "dataset") -> int:
    found = hub.site.store.find(f"{kind}s", repository)
    assert found is not None
    return len(list(found.history("main")))
