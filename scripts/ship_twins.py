"""Add finished twins to the package: copy `<run>/twin` to `hf_sslgen/zoo/twins/<architecture>-<objective>`.

    python scripts/ship_twins.py runs/supervised runs/simclr runs/barlow-twins runs/byol

Nothing is copied if a twin's k-NN interval on its source does not lie above the untrained network's. The script prints
the rows for `hf_sslgen/zoo/registry/shipped.yaml`.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_files
from hf_sslgen.reporting.twin_folder import CARD_FILE, CURVES_FILE, TRAINING_FILE
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE

TWINS = Path(__file__).parents[1] / "hf_sslgen" / "zoo" / "twins"
FILES = ("config.json", WEIGHTS_FILE, TRAINING_FILE, CURVES_FILE, CARD_FILE)
FAMILIES = {  # objective: (family, arXiv id), as the registry has them
    "supervised": ("supervised", None),
    "simclr": ("contrastive", "2002.05709"),
    "barlow-twins": ("redundancy-reduction", "2103.03230"),
    "byol": ("self-distillation", "2006.07733"),
}


def read_training(run: Path) -> dict[str, Any]:
    """Read the settings and results of a run's twin.

    Raises:
        InputError: the twin is not finished, or no better than the untrained network.
    """
    folder = run / "twin"
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} lacks {', '.join(missing)}; run its pretraining command again to finish it")
    training: dict[str, Any] = json.loads((folder / TRAINING_FILE).read_text(encoding="utf-8"))
    trained, untrained = training["knn_accuracy"], training["untrained_knn_accuracy"]
    if not trained["low"] > untrained["high"]:
        own, other = ("{value:.3f} [{low:.3f}, {high:.3f}]".format(**each) for each in (trained, untrained))
        raise InputError(
            f"{folder}: k-NN accuracy {own} does not lie above the untrained network's {other}; train longer"
        )
    return training


def registry_row(settings: dict[str, Any]) -> str:
    """Format the twin's YAML row, to be added under `backbones` of its twin set."""
    objective = settings["objective"]
    family, paper = FAMILIES[objective]
    lines = [
        f"      - id: twin-{settings['architecture']}-{objective}",
        f"        objective: {objective}",
        f"        family: {family}",
        *([f'        paper: "{paper}"'] if paper else []),
        f"        package_folder: {settings['architecture']}-{objective}",
    ]
    return "\n".join(lines)


def main(runs: list[Path], twins: Path) -> None:
    found = [(run, read_training(run)["settings"]) for run in runs]
    for run, settings in found:
        folder = twins / f"{settings['architecture']}-{settings['objective']}"
        with replace_files(folder, obsolete=["*"]) as unfinished:
            for name in FILES:
                shutil.copy(run / "twin" / name, unfinished / name)
        size = sum((folder / name).stat().st_size for name in FILES)
        print(f"{folder}: {size / 1e6:.1f} MB", file=sys.stderr)
        print(registry_row(settings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="output folders of recipes/pretrain.py")
    parser.add_argument("--twins", type=Path, default=TWINS, help="target folder (default: the package)")
    arguments = parser.parse_args()
    try:
        main(arguments.runs, arguments.twins)
    except InputError as error:
        sys.exit(f"error: {error}")
