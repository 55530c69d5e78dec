"""What a large study costs, and how its folder behaves with many cells and workers (docs/scale.md).

    python benchmarks/scale.py costs
    python benchmarks/scale.py store --cells 100000 --processes 8

`costs` counts from the plan of 20 backbones x 20 domains x 5 protocols x 3 label budgets x 5 seeds; nothing is loaded.
`store` fills a folder with finished cells that nothing was computed for, and lets real workers add some to it.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from crowded_store import measure_store

from hf_sslgen.analysis.transforms import preset_variants
from hf_sslgen.domains.domain_registry import domain_entries, find_domain
from hf_sslgen.study.config import StudyConfig, parse_study
from hf_sslgen.study.estimate import RECORD_BYTES, Sizes, image_passes, registered_sizes
from hf_sslgen.study.execution.schedule import Unit, ordered_units
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.protocols.presets import FineTuningProtocol
from hf_sslgen.zoo.backbone_registry import all_backbones

BACKBONES, DOMAINS, GPUS = 20, 20, 64
PROTOCOLS = ("linear", "ssl-transfer-linear", "dino-knn", "few-shot", "finetune")
FEATURES = 2048
"""Of a ResNet-50; a ViT-B has 768."""


def the_study() -> StudyConfig:
    """Return the configuration: the first registered backbones that load as they are, and domains of known size."""
    backbones = [row.id for row in all_backbones() if row.library != "conversion" and row.package_folder is None]
    domains = [
        entry.name
        for entry in domain_entries().values()
        if entry.format != "embedded" and {entry.train_split, entry.test_split} <= set(entry.expected_sizes)
    ]
    content = {
        "title": "A large study",
        "backbones": backbones[:BACKBONES],
        "untrained_control": False,
        "domains": domains[:DOMAINS],
        "protocols": list(PROTOCOLS),
        "label_fractions": [1, 0.1],
        "samples_per_class": [5],
        "seeds": list(range(5)),
        "geometry": {"image_size": 224},
    }
    return parse_study(content, "the study")


def sizes(spec: CellSpec) -> Sizes:
    """Return the sizes of a cell's splits; all cells of this study are of domains that the registry knows."""
    known, entry = registered_sizes(spec), find_domain(spec.domain.dataset_name)
    assert known is not None and entry is not None
    if spec.domain.samples_per_class is None:
        return known
    return Sizes(spec.domain.samples_per_class * entry.num_classes, known.validation, known.test)


def shared_passes(unit: Unit) -> float:
    """Return the images that the trunk sees for a unit whose cells read the same features.

    Each image of the domain once, and the transformed ones of the pretrained stage.
    """
    whole = max((sizes(spec) for spec in unit.cells), key=lambda each: each.train)
    pretrained = sum(image_passes(spec, sizes(spec)) for spec in unit.cells if spec.protocol is None)
    reads_training = any(spec.protocol is not None for spec in unit.cells)
    return pretrained + (whole.train + whole.validation + whole.test if reads_training else 0)


def print_costs(per_second: float) -> None:
    """Print what the study costs.

    Args:
        per_second: images per second through a trunk, forwards.
    """
    specs = expand(the_study())
    units = ordered_units(specs, sizes)
    separate: dict[str, float] = defaultdict(float)
    for spec in specs:
        separate[spec.protocol_name] += image_passes(spec, sizes(spec))
    frozen = [unit for unit in units if not unit.trains_networks]
    shared = sum(map(shared_passes, frozen))
    of_frozen = sum(value for name, value in separate.items() if name != "finetune")
    counts = Counter(spec.protocol_name for spec in specs)
    print(f"{len(specs):,} cells: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    print(f"{'stage':34} {'units':>7} {'images through a trunk':>24} {'GPU hours':>10} {f'hours on {GPUS}':>12}")
    for name, number, images in (
        ("frozen, each cell on its own", counts.total() - counts["finetune"], of_frozen),
        ("frozen, features shared", len(frozen), shared),
        ("fine-tuning (a step counts thrice)", counts["finetune"], separate["finetune"]),
    ):
        hours = images / per_second / 3600
        print(f"{name:34} {number:7,} {images:24,.0f} {hours:10,.0f} {hours / GPUS:12,.1f}")
    longest = max(image_passes(spec, sizes(spec)) for spec in specs if isinstance(spec.protocol, FineTuningProtocol))
    print(f"the longest cell: {longest / per_second / 3600:.1f} GPU hours; a third of that per candidate")
    print_disk(specs, frozen)


def print_disk(specs: Sequence[CellSpec], frozen: Sequence[Unit]) -> None:
    """Print the bytes that the study keeps."""
    records = 0
    for spec in specs:
        found = sizes(spec)
        subset = min(found.test, spec.analysis.max_subset)
        variants = len(preset_variants(spec.analysis.transforms, gray=False))
        moved = spec.protocol is None or isinstance(spec.protocol, FineTuningProtocol)
        records += found.test * (spec.protocol is not None) + subset * variants * moved
    images = 0
    for unit in frozen:
        whole = max((sizes(spec) for spec in unit.cells), key=lambda each: each.train)
        images += whole.train + whole.validation + whole.test
    print(f"records: {records * RECORD_BYTES / 1e9:,.1f} GB in {3 * len(specs):,} files and more")
    print(f"features: {images * FEATURES * 4 / 1e9:,.0f} GB, which can be dropped when the frozen cells are done")


def main(command_line: Sequence[str] | None = None) -> None:
    """Print one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    costs = commands.add_parser("costs")
    costs.add_argument("--per_second", type=float, default=3000.0, help="images per second through a trunk, forwards")
    store = commands.add_parser("store")
    store.add_argument("--cells", type=int, default=100_000)
    store.add_argument("--processes", type=int, default=8)
    store.add_argument("--claims", type=int, default=25, help="claims that each process holds meanwhile")
    store.add_argument("--new", type=int, default=400, help="cells that the processes add")
    store.add_argument("--folder", type=Path, default=None, help="where to put the store (default: a temporary one)")
    arguments = parser.parse_args(command_line)
    if arguments.what == "costs":
        print_costs(arguments.per_second)
    else:
        measure_store(arguments.cells, arguments.processes, arguments.claims, arguments.new, arguments.folder)


if __name__ == "__main__":
    main(sys.argv[1:])
