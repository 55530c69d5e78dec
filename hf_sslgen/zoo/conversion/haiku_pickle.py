"""A trunk as BYOL's authors published theirs: a pickle of Haiku's mappings with NumPy arrays."""

import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

Arrays = dict[str, dict[str, np.ndarray]]
"""NumPy's arrays by module and parameter."""


class _ByolExperimentState(NamedTuple):
    online_params: Any
    target_params: Any
    online_state: Any
    target_state: Any
    opt_state: Any


class frozendict:  # noqa: N801 - the name in the published pickle
    """Stands for Haiku's mapping, which is pickled as a call with a dictionary."""

    def __init__(self, storage: dict[str, Any]) -> None:
        self.storage = storage

    def __reduce__(self) -> tuple[Any, ...]:
        return frozendict, (self.storage,)


HOMES = {_ByolExperimentState: "byol.byol_experiment", frozendict: "haiku._src.data_structures"}
"""Modules of the classes that the published pickle names."""


def byol_pickle(trunk: Mapping[str, torch.Tensor]) -> bytes:
    """Return a pickle as published, with projector, predictor, classifier, target network and optimiser.

    Args:
        trunk: timm's names and tensors of a ResNet.
    """
    parameters, state = _haiku_arrays(trunk)
    width = int(trunk["layer4.0.bn3.weight"].shape[0])
    for name in ("projector", "predictor"):
        parameters[f"{name}/linear"] = {"w": np.ones((width, 8), np.float32), "b": np.zeros(8, np.float32)}
        parameters[f"{name}/batch_norm"] = {
            "scale": np.ones((1, 8), np.float32),
            "offset": np.zeros((1, 8), np.float32),
        }
        state |= _running(f"{name}/batch_norm", np.zeros((1, 8), np.float32), np.ones((1, 8), np.float32))
    parameters["classifier"] = {"w": np.zeros((width, 10), np.float32), "b": np.zeros(10, np.float32)}
    target = {module: {key: 0.9 * array for key, array in arrays.items()} for module, arrays in parameters.items()}
    with _importable():
        content = pickle.dumps(
            {
                "experiment_state": _ByolExperimentState(
                    _frozen(parameters), _frozen(target), _frozen(state), _frozen(state), _frozen({})
                ),
                "step": 312_000,
                "rng": np.zeros(2, np.uint32),
            },
            protocol=2,
        )
    return content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")  # as NumPy 1 wrote it


def _frozen(arrays: Arrays) -> frozendict:
    return frozendict({module: frozendict(dict(each)) for module, each in arrays.items()})


def _haiku_arrays(trunk: Mapping[str, torch.Tensor]) -> tuple[Arrays, Arrays]:
    parameters: Arrays = {}
    state: Arrays = {}
    for name in (key.removesuffix(".weight") for key in trunk if key.endswith(".weight")):
        module = _haiku_module(name)
        if f"{name}.running_mean" not in trunk:
            parameters[module] = {"w": trunk[f"{name}.weight"].permute(2, 3, 1, 0).numpy().copy()}
            continue
        weight, bias, mean, variance = (
            trunk[f"{name}.{each}"].numpy().reshape(1, 1, 1, -1).copy()
            for each in ("weight", "bias", "running_mean", "running_var")
        )
        parameters[module] = {"scale": weight, "offset": bias}
        state |= _running(module, mean, variance)
    return parameters, state


def _running(module: str, mean: np.ndarray, variance: np.ndarray) -> Arrays:
    return {
        f"{module}/~/{name}_ema": {"counter": np.array(312_000, np.int32), "hidden": value, "average": value}
        for name, value in (("mean", mean), ("var", variance))
    }


def _haiku_module(name: str) -> str:
    """Haiku's name of a convolution or batch normalisation with timm's name, such as `layer1.0.conv1`."""
    kinds = {"conv": "conv", "bn": "batchnorm"}
    parts = name.split(".")
    if len(parts) == 1:
        return f"res_net50/~/initial_{kinds[name[:-1]]}"
    stage, block = int(parts[0].removeprefix("layer")) - 1, parts[1]
    if parts[2] == "downsample":
        last = f"shortcut_{('conv', 'batchnorm')[int(parts[3])]}"
    else:
        last = f"{kinds[parts[2][:-1]]}_{int(parts[2][-1]) - 1}"
    return f"res_net50/~/block_group_{stage}/~/block_{block}/~/{last}"


@contextmanager
def _importable() -> Iterator[None]:
    """Let pickle find the classes under the modules that the published file names, as it checks while writing."""
    added: dict[str, types.ModuleType] = {}
    before = {kind: kind.__module__ for kind in HOMES}
    for kind, home in HOMES.items():
        for depth in range(1, home.count(".") + 2):
            added.setdefault(name := ".".join(home.split(".")[:depth]), types.ModuleType(name))
        setattr(added[home], kind.__name__, kind)
        kind.__module__ = home
    kept = {name: sys.modules[name] for name in added if name in sys.modules}
    sys.modules.update(added)
    try:
        yield
    finally:
        for kind, home in before.items():
            kind.__module__ = home
        for name in added:
            del sys.modules[name]
        sys.modules.update(kept)
