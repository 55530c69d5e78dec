"""Which faults a preflight names, and whether it accuses backbones that have none.

    python benchmarks/preflight_power.py [FOLDER ...] [--image_sizes 64 112]

The shipped twins and any other sound checkpoints with batch normalisation are looked at untouched and with each fault.
A cell of the table is `named` if the finding is of the fault's own kind, `other` if only another kind was found, and
`missed` otherwise; of the untouched backbone it is `silent` or `accused`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

ROOT = Path(__file__).parents[1]
TWINS = ("twin-resnet18-supervised", "twin-resnet18-simclr", "twin-resnet18-barlow-twins")


def outcomes(backbone: LoadedBackbone) -> dict[str, str]:
    """Return the outcome by fault; see above."""
    sys.path.insert(0, str(ROOT))  # the faults are a part of the tests
    from tests.support.spoilt_backbones import spoilt_backbones

    found = {"untouched": "accused" if preflight(backbone).findings else "silent"}
    for spoilt in spoilt_backbones(backbone):
        kinds = {each.kind.value for each in preflight(spoilt.backbone).findings}
        found[spoilt.fault] = "named" if spoilt.kind in kinds else "other" if kinds else "missed"
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns 1 if an untouched backbone was accused, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="further checkpoint folders")
    parser.add_argument("--image_sizes", nargs="*", type=int, help="input sizes in pixels besides each backbone's own")
    options = parser.parse_args(arguments)
    columns: dict[str, dict[str, str]] = {}
    for name in (*TWINS, *options.folders):
        backbone = load_backbone(name, ("first", "second"), match="none")
        own = backbone.preprocessing
        for side in (own.geometry.image_size, *(options.image_sizes or ())):
            sized = replace(own, geometry=replace(own.geometry, image_size=side))
            title = f"{Path(name).parent.name if Path(name).name == 'twin' else Path(name).name}, {side} px"
            columns[title] = outcomes(replace(backbone, preprocessing=sized))
    faults = list(dict.fromkeys(fault for each in columns.values() for fault in each))
    print(f"| fault | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for fault in faults:
        print(f"| {fault} | {' | '.join(each.get(fault, '-') for each in columns.values())} |")
    return int(any(each["untouched"] == "accused" for each in columns.values()))


if __name__ == "__main__":
    sys.exit(main())
