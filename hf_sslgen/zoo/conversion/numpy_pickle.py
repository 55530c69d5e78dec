"""What pickles of NumPy arrays may name: the arrays themselves, and the containers of Haiku, JAX and BYOL."""

import math
import re
from typing import Any

import numpy as np

from hf_sslgen.zoo.conversion.pickle_values import Ignored, Maker, Named, RefusedPickleError, Unfinished, safe_key

RECONSTRUCT = "numpy.core.multiarray._reconstruct"

ARRAY_TYPE = re.compile(r"[<>|=]?([fiub][1248]|[?])")
"""Types of numbers, with their bytes; structures and Python objects are not among them."""

FIELDS = {
    "_ByolExperimentState": ("online_params", "target_params", "online_state", "target_state", "opt_state"),
    "_EvalExperimentState": ("backbone_params", "classif_params", "backbone_state", "backbone_opt", "classif_opt"),
}
"""Fields of the named tuples of google-deepmind/deepmind-research's byol that hold networks."""

MAPPINGS = re.compile(
    r"(haiku\._src\.data_structures\.(FlatMapping|FlatMap|frozendict)|haiku\._src\.base\.frozendict"
    r"|flax\.core\.frozen_dict\.FrozenDict|jaxlib\.frozendict|collections\.(OrderedDict|defaultdict))"
)
TUPLES = re.compile(r"(byol|optax|jax|acme)(\.\w+)+")
"""Named tuples of states of optimisers, of which only the values are kept."""


class _Type(Unfinished):
    """A type of numbers whose order of bytes may follow.

    Attributes:
        code: the type as NumPy spells it.
    """

    def __init__(self, code: str) -> None:
        if not ARRAY_TYPE.fullmatch(code):
            raise RefusedPickleError(f"arrays of type {code[:40]!r}")
        self.code = code.lstrip("<>|=")
        self.order = code[0] if code[0] in "<>" else "<"

    def finished(self, state: Any) -> Any:
        order = _order(state)
        self.order = order if order in "<>" else self.order
        return self

    @property
    def numpy(self) -> "np.dtype[Any]":
        return np.dtype(self.code if self.code == "?" else f"{self.order}{self.code}")


def _order(state: Any) -> str:
    if not isinstance(state, tuple) or len(state) < 2 or not isinstance(state[1], str) or len(state[1]) != 1:
        raise ValueError("a type of numbers has an invalid state")
    return state[1]


class _Array(Unfinished):
    def finished(self, state: Any) -> Any:
        version, shape, kind, is_fortran, data = state
        del version
        return _array(data, kind, shape, "F" if is_fortran else "C")


def _array(data: Any, kind: Any, shape: Any, order: Any) -> "np.ndarray[Any, Any]":
    """Return an array on the bytes in the file.

    Raises:
        ValueError: there are fewer or more of them than the shape requires.
    """
    if isinstance(data, str):
        data = data.encode("latin1")  # as Python 2 wrote them
    if isinstance(shape, int):
        shape = (shape,)
    is_shape = isinstance(shape, tuple) and len(shape) <= 16 and all(type(each) is int and each >= 0 for each in shape)
    if not is_shape or not isinstance(kind, _Type) or not isinstance(data, (bytes, bytearray)):
        raise ValueError("an array has an invalid state")
    if math.prod(shape) * kind.numpy.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} has {len(data)} bytes")
    return np.frombuffer(data, kind.numpy).reshape(shape, order="F" if order == "F" else "C")


def _scalar(arguments: tuple[Any, ...]) -> Any:
    kind, data = arguments
    return _array(data, kind, (1,), "C")[0].item()


def _from_jax(arguments: tuple[Any, ...]) -> Any:
    """Make the array of `jax._src.array._reconstruct_array`, which wraps NumPy's own way of making it."""
    function, _, state, *_ = arguments
    if function != Named(RECONSTRUCT):
        raise RefusedPickleError("an array of JAX that is not made by NumPy")
    return _Array().finished(state)


def _encoded(arguments: tuple[Any, ...]) -> bytes:
    text, coding = arguments
    if coding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise RefusedPickleError(f"encoding as {str(coding)[:40]!r}")
    return text.encode("latin1")


def _mapping(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    given = [each for each in arguments if not isinstance(each, Named)]  # the factory of a defaultdict
    if not given:
        return {}
    (content,) = given
    if isinstance(content, dict):
        return dict(content)
    if isinstance(content, list) and all(isinstance(each, (list, tuple)) and len(each) == 2 for each in content):
        return {safe_key(key): value for key, value in content}
    raise ValueError("a mapping has an invalid content")


def _named_tuple(name: str) -> Maker:
    fields = FIELDS.get(name.rpartition(".")[2])
    if fields is None:
        return list
    return lambda arguments: dict(zip(fields, arguments, strict=True))


ARRAYS: dict[str, Maker | None] = {
    RECONSTRUCT: lambda _: _Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": lambda given: _array(*given),
    "numpy.dtype": lambda given: _Type(str(given[0])),
    "numpy.ndarray": None,
    "_codecs.encode": _encoded,
}
JAX_ARRAYS = ("jax._src.array._reconstruct_array", "jax._src.device_array.reconstruct_device_array")
PLAIN: dict[str, Maker | None] = {
    "builtins.set": lambda given: set(map(safe_key, *given)),
    "builtins.list": lambda _: [],
    "builtins.dict": lambda _: {},
    "builtins.int": None,
    "builtins.float": None,
    "builtins.str": None,
    "collections.Counter": _mapping,
    "argparse.Namespace": lambda _: Ignored(),
}


def usual_name(name: str) -> str:
    """Return the name that NumPy 1 had for what NumPy 2 keeps elsewhere."""
    return name.replace("numpy._core.", "numpy.core.", 1)


def numpy_maker(name: str) -> Maker | None:
    """Return how to make what a pickle of arrays names.

    Raises:
        RefusedPickleError: it is neither a container nor an array.
    """
    name = usual_name(name)
    if name in ARRAYS:
        return ARRAYS[name]
    if name in PLAIN:
        return PLAIN[name]
    if name in JAX_ARRAYS:
        return _from_jax
    if MAPPINGS.fullmatch(name):
        return _mapping
    if TUPLES.fullmatch(name):
        return _named_tuple(name)
    raise RefusedPickleError(repr(name[:80]))
