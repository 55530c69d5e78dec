"""Short names of backbones for pictures, tables and sentences, unique among those that are shown together."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from hf_sslgen.names import printable, shorten
from hf_sslgen.zoo.backbone_registry import UNTRAINED
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

WIDTH = 24

OBJECTIVES = {
    "barlow-twins": "Barlow Twins",
    "beit": "BEiT",
    "beit-v2": "BEiT v2",
    "byol": "BYOL",
    "cae": "CAE",
    "data2vec": "data2vec",
    "dcl": "DCL",
    "dclw": "DCLW",
    "deepcluster": "DeepCluster",
    "deepcluster-v2": "DeepCluster v2",
    "densecl": "DenseCL",
    "dino": "DINO",
    "dinov2": "DINOv2",
    "dinov3": "DINOv3",
    "eva": "EVA",
    "fcmae": "FCMAE",
    "i-jepa": "I-JEPA",
    "ibot": "iBOT",
    "infomin": "InfoMin",
    "insdis": "InsDis",
    "lejepa": "LeJEPA",
    "mae": "MAE",
    "maskfeat": "MaskFeat",
    "milan": "MILAN",
    "mixmim": "MixMIM",
    "moco-v1": "MoCo v1",
    "moco-v2": "MoCo v2",
    "moco-v3": "MoCo v3",
    "msn": "MSN",
    "obow": "OBoW",
    "odc": "ODC",
    "pcl-v1": "PCL v1",
    "pcl-v2": "PCL v2",
    "pirl": "PIRL",
    "pixmim": "PixMIM",
    "relative-location": "relative location",
    "rotation-prediction": "rotation prediction",
    "sela-v2": "SeLa v2",
    "simclr": "SimCLR",
    "simclr-v2": "SimCLR v2",
    "simmim": "SimMIM",
    "simsiam": "SimSiam",
    "swav": "SwAV",
    "tico": "TiCo",
    "vicreg": "VICReg",
}
"""Objectives as their authors write them; others keep their own name."""

_PARTS = re.compile(r"[-_./: ]")


def objective_words(objective: str) -> str:
    """Return an objective as its authors write it."""
    return OBJECTIVES.get(objective, objective)


def display_names(objectives: Mapping[str, str], width: int = WIDTH) -> dict[str, str]:
    """Return a short name for each name, no two alike and none longer than `width` characters.

    Folders and owners are dropped, then what the names of trained backbones share at their beginning and end. A name
    that is then its objective is written as the objective's authors do. What is still too long loses its middle.

    Args:
        objectives: the objective of each backbone by its name, in the order of their display.
        width: at least 8.
    """
    trained = [name for name, objective in objectives.items() if objective != UNTRAINED]
    bare = dict(zip(trained, _without_common_parts([_last_part(name) for name in trained]), strict=True))
    proposed = {
        name: objective_words(bare[name]) if bare[name] == objectives[name] else bare[name] for name in trained
    }
    controls = [name for name, objective in objectives.items() if objective == UNTRAINED]
    for name in controls:
        of = name.removeprefix(UNTRAINED_PREFIX)
        proposed[name] = UNTRAINED if len(controls) == 1 else f"{UNTRAINED} {bare.get(of, _last_part(of))}"
    if len(set(proposed.values())) < len(proposed):
        proposed = {name: name for name in objectives}
    return _unique({name: shorten(printable(proposed[name]), width) for name in objectives}, width)


def _last_part(name: str) -> str:
    """Return a name without the folders or the owner before it."""
    return name.rstrip("/").rpartition("/")[2] or name


def _without_common_parts(names: Sequence[str]) -> list[str]:
    """Drop what all names begin and end with, up to a separator; what remains of each has at least one letter."""
    if len(set(names)) < 2:
        return list(names)
    for from_end in (False, True):
        texts = [name[::-1] for name in names] if from_end else list(names)
        shared = 0
        for index, characters in enumerate(zip(*texts, strict=False)):
            if len(set(characters)) > 1:
                break
            if _PARTS.match(characters[0]):
                shared = index + 1
        cut = [text[shared:] for text in texts]
        if all(any(character.isalpha() for character in text) for text in cut):
            names = [text[::-1] for text in cut] if from_end else cut
    return list(names)


def _unique(names: Mapping[str, str], width: int) -> dict[str, str]:
    """Number names that are alike after being shortened."""
    counts, taken = Counter(names.values()), set(names.values())
    found: dict[str, str] = {}
    for name, short in names.items():
        if counts[short] == 1:
            found[name] = short
            continue
        number = 1
        while (numbered := f"{shorten(short, width - len(str(number)) - 2)} #{number}") in taken:
            number += 1
        taken.add(numbered)
        found[name] = numbered
    return found
