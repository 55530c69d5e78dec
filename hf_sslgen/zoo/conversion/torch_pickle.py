"""What torch's files may name, and whether the tensors they describe lie within the file.

`torch.load(weights_only=True)` reads them afterwards. It executes nothing either, but allocates what a file declares.
"""

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from hf_sslgen.zoo.conversion.numpy_pickle import ARRAYS, PLAIN, numpy_maker, usual_name
from hf_sslgen.zoo.conversion.pickle_values import Ignored, Maker, Named, RefusedPickleError

STORED_BYTES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}
"""Bytes of one element."""

FRAMEWORKS = re.compile(
    r"(argparse\.Namespace|typing\.Any|pathlib\.(Pure)?(Posix|Windows)?Path"
    r"|(pytorch_lightning|lightning|lightning_fabric|omegaconf|mmengine\.logging)(\.\w+)+)"
)
"""Settings and records of training frameworks, whose content is dropped."""

MAPPINGS = ("collections.OrderedDict", "collections.defaultdict")

MOST_DIMENSIONS = 16
SHARED_TIMES = 8
"""How many times the bytes of a file its tensors may have, some of which share them, as tied weights do."""


@dataclass(frozen=True)
class Storage:
    """The bytes of one or more tensors, stored outside the pickle."""

    key: str
    element_bytes: int
    elements: int

    @property
    def nbytes(self) -> int:
        return self.element_bytes * self.elements


@dataclass
class TorchNames:
    """What a torch pickle names and declares.

    Attributes:
        ignored: names of what is replaced by a stand-in without content.
        storages: by key.
        tensor_bytes: of all tensors, counting shared ones as often as they occur.
    """

    ignored: set[str] = field(default_factory=set)
    storages: dict[str, Storage] = field(default_factory=dict)
    tensor_bytes: int = 0

    def maker(self, name: str) -> Maker | None:
        """Return how to make what a name in the pickle makes.

        Raises:
            RefusedPickleError: no tensor or plain value needs it.
        """
        if name == "torch._utils._rebuild_parameter":
            return lambda given: given[0]
        if name in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"):
            return self._tensor
        if name == "torch.Size":
            return lambda given: tuple(*given)
        if name == "torch.device":
            return lambda given: ":".join(map(str, given))
        if re.fullmatch(r"torch\.(float|double|half|bfloat|int|long|uint|bool|complex)\w*", name):
            return None
        if name.removeprefix("torch.") in STORED_BYTES:
            return None
        if FRAMEWORKS.fullmatch(name):
            self.ignored.add(name)
            return lambda _: Ignored()
        if usual_name(name) in ARRAYS and name != "_codecs.encode":
            self.ignored.add(name)
        if (
            usual_name(name) in ARRAYS
            or name in PLAIN
            or name in ("collections.OrderedDict", "collections.defaultdict")
        ):
            return numpy_maker(name)
        raise RefusedPickleError(repr(name[:80]))

    def stored(self, identity: Any) -> Storage:
        """Return the storage that a persistent id describes."""
        if (
            not isinstance(identity, tuple)
            or len(identity) not in (5, 6)
            or identity[0] not in ("storage", b"storage")
        ):
            raise RefusedPickleError("content that is stored elsewhere (a persistent id)")
        kind, key, _, elements = identity[1:5]
        name = kind.name.removeprefix("torch.") if isinstance(kind, Named) else ""
        if name not in STORED_BYTES or not isinstance(key, str) or type(elements) is not int or elements < 0:
            raise RefusedPickleError("a storage of an unknown type")
        if len(identity) == 6 and identity[5] is not None:
            raise RefusedPickleError("a storage that is part of another one")
        found = Storage(key, STORED_BYTES[name], elements)
        if self.storages.setdefault(key, found) != found:
            raise ValueError(f"its storage {key[:40]!r} is declared twice")
        return found

    def _tensor(self, given: tuple[Any, ...]) -> str:
        storage, offset, size, stride = given[:4]
        if not isinstance(storage, Storage):
            raise ValueError("a tensor has no storage")
        if not _are_counts((offset,)) or not _are_counts(size) or not _are_counts(stride) or len(size) != len(stride):
            raise ValueError("a tensor has an invalid shape")
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        if math.prod(size) and last >= storage.elements:
            raise ValueError(
                f"a tensor of shape {tuple(size)} lies outside its storage of {storage.elements} elements"
            )
        if math.prod(size) > max(storage.elements, 1):
            raise RefusedPickleError(f"a tensor of shape {size}, which repeats {storage.elements} stored elements")
        self.tensor_bytes += math.prod(size) * storage.element_bytes
        return "a tensor"


def _are_counts(values: Any) -> bool:
    is_short = isinstance(values, tuple) and len(values) <= MOST_DIMENSIONS
    return is_short and all(type(each) is int and 0 <= each < 2**62 for each in values)


class StandIn:
    """Takes the place of an object of a training framework, and keeps nothing of it."""

    def __new__(cls, *_: Any) -> "StandIn":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Drop the state."""


class PlainMapping:
    """Takes the place of a mapping with more abilities than torch's reader fills."""

    def __new__(cls, *_: Any) -> Any:
        return {}


def torch_stand_ins(ignored: Collection[str]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return what `torch.serialization.safe_globals` allows, by name: these classes, and none of any other package."""
    named = (*sorted(ignored), *(f"builtins.{name}" for name in ("list", "dict", "int", "float", "str")))
    return [*((StandIn, name) for name in named), (PlainMapping, "collections.defaultdict")]
