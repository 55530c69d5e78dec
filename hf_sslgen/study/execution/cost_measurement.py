"""Measure what the backbones of a comparison cost on this machine.

The cost of a network does not depend on its weights, so twins and untrained controls are measured as one: they could
otherwise seem to differ by what else the machine did meanwhile.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from hf_sslgen.analysis.forward_cost import forward_cost
from hf_sslgen.analysis.forward_cost_values import ForwardCost
from hf_sslgen.analysis.network import device_name, place
from hf_sslgen.study.backbone_costs import BackboneCost, cost_path, read_cost, write_cost
from hf_sslgen.study.execution.workbench import identify
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.prepared_cell import BackboneFacts
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.checkpoints import open_checkpoint
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX
from hf_sslgen.zoo.network_description import NetworkDescription
from hf_sslgen.zoo.weight_files import weights_files


def measure_costs(specs: Sequence[CellSpec], study: Path) -> None:
    """Measure the backbones of these cells that have not been measured on this machine.

    Args:
        specs: cells whose backbones can be loaded.
        study: the study's folder, which keeps what is measured.
    """
    here = device_name(), torch.get_num_threads()
    wanted = {(spec.backbone.name, spec.geometry): spec for spec in reversed(specs)}
    found: dict[tuple[NetworkDescription, int], ForwardCost] = {}
    for spec in reversed(wanted.values()):
        facts = identify(spec, study).facts
        image_size = facts.preprocessing.geometry.image_size
        path = cost_path(study, facts.weights, image_size, spec.analysis.batch_size, here)
        cost, network = read_cost(path), (facts.network, image_size)
        if cost is None:
            cost = BackboneCost(
                weights=facts.weights,
                image_size=image_size,
                device=here[0],
                file_bytes=_file_bytes(facts.pinned),
                measured=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                forward=found.get(network) or _measured(spec, facts),
            )
            write_cost(path, cost)
        found[network] = cost.forward


def _measured(spec: CellSpec, facts: BackboneFacts) -> ForwardCost:
    backbone = load_backbone(facts.pinned, ("first", "second"), seed=spec.seed, geometry=spec.geometry, match="none")
    place(backbone)
    return forward_cost(backbone.model, backbone.preprocessing.geometry.image_size, spec.analysis.batch_size)


def _file_bytes(pinned: str) -> int:
    if pinned.startswith(UNTRAINED_PREFIX):
        return 0
    folder = open_checkpoint(pinned, None, with_weights=True).folder
    return sum(path.stat().st_size for path in weights_files(folder))
