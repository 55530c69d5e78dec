"""Pickles that execute code when unpickled, and files that declare far more than they hold."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

HUGE = 10**10


def executing(marker: Path) -> dict[str, bytes]:
    """Pickles by what they try; those that Python's own unpickler accepts touch `marker`."""
    command = f"touch {marker}".encode()
    evaluated = f"__import__('pathlib').Path({str(marker)!r}).touch()".encode()
    text = b"X" + struct.pack("<I", len(command)) + command
    code = b"X" + struct.pack("<I", len(evaluated)) + evaluated
    return {
        "os.system": b"\x80\x02cos\nsystem\n" + text + b"\x85R.",
        "posix.system": b"\x80\x02cposix\nsystem\n" + text + b"\x85R.",
        "builtins.eval": b"\x80\x02cbuiltins\neval\n" + code + b"\x85R.",
        "__builtin__.eval": b"\x80\x02c__builtin__\neval\n" + code + b"\x85R.",
        "named on the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + text + b"\x85R.",
        "a dotted name": b"\x80\x04\x8c\x0bcollections\x8c\x1dOrderedDict.__init__.__call__\x93" + text + b"\x85R.",
        "getattr": b"\x80\x02cbuiltins\ngetattr\ncos\nX\x06\x00\x00\x00system\x86R" + text + b"\x85R.",
        "numpy.load": b"\x80\x02cnumpy\nload\n" + text + b"\x85R.",
        "torch.load": b"\x80\x02ctorch.serialization\nload\n" + text + b"\x85R.",
        "torch.hub": b"\x80\x02ctorch.hub\nload\n" + text + b"\x85R.",
        "numpy's exec": b"\x80\x02cnumpy.testing._private.utils\nrunstring\n" + code + b"}\x86R.",
        "functools.partial": b"\x80\x02cfunctools\npartial\ncos\nsystem\n" + text + b"\x86R)R.",
        "operator": b"\x80\x02coperator\nmethodcaller\nX\x06\x00\x00\x00system" + text + b"\x86Rcos\n__dict__\n\x85R.",
        "pickle.loads": b"\x80\x02cpickle\nloads\n" + text + b"\x85R.",
        "copyreg": b"\x80\x02ccopy_reg\n_reconstructor\ncos\nsystem\nc__builtin__\nobject\nN\x87R.",
        "INST": b"\x80\x02(" + text + b"ios\nsystem\n.",
        "OBJ": b"\x80\x02(cos\nsystem\n" + text + b"o.",
        "EXT": b"\x80\x02\x82\x01.",
        "NEWOBJ": b"\x80\x02cbuiltins\ntype\nX\x01\x00\x00\x00x)}\x87\x81.",
        "NEWOBJ_EX": b"\x80\x04ccollections\nOrderedDict\n)}\x92.",
        "state of a class": b"\x80\x02ccollections\nOrderedDict\n}X\x08\x00\x00\x00__init__cos\nsystem\nsb.",
        "state of a class, harmless": b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",
        "state of text": b"\x80\x02X\x01\x00\x00\x00a}X\x01\x00\x00\x00aK\x01sb.",
        "a mapping that is called": b"\x80\x02}" + text + b"\x85R.",
        "a type that is called": b"\x80\x02cnumpy\nndarray\nK\x01\x85R.",
        "a persistent id": b"\x80\x02X\x06\x00\x00\x00moduleQ.",
        "a persistent id in text": b"\x80\x02Pmodule\n.",
        "a storage of a module": b"\x80\x02(X\x06\x00\x00\x00moduleX\x01\x00\x00\x00aNNNtQ.",
        "a key that is called": b"\x80\x02}cos\nsystem\n" + text + b"\x85RK\x01s.",
    }


def greedy() -> dict[str, bytes]:
    """Short pickles that declare or unfold to gigabytes."""
    shape = struct.pack("<q", HUGE)
    array = (
        b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
        b"(K\x01\x8a\x08" + shape + b"\x85cnumpy\ndtype\nX\x02\x00\x00\x00f8K\x00K\x01\x87R\x89C\x01\x00tb."
    )
    doubling = b"\x80\x02]" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(200)) + b"."
    text = b"X" + struct.pack("<I", 2**16) + b"a" * 2**16 + b"q\x00"
    copying = b"X\x06\x00\x00\x00latin1q\x01c_codecs\nencode\nq\x02" + b"h\x02h\x00h\x01\x86R" * 30_000
    return {
        "an array": array,
        "a type of numbers": b"\x80\x02cnumpy\ndtype\nX\x0c\x00\x00\x00V10000000000K\x00K\x01\x87R.",
        "bytes": b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + struct.pack("<q", HUGE)[:5] + b"\x85R.",
        "a tensor without storage": b"\x80\x02ctorch\nFloatTensor\n\x8a\x05" + struct.pack("<q", HUGE)[:5] + b"\x85R.",
        "text": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"a.",
        "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"a.",
        "an integer": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"a.",
        "a frame": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"a.",
        "values that double": doubling,
        "nested lists": b"\x80\x02" + b"]" * 90_000 + b"a" * 89_999 + b".",
        "nested tuples as a key": b"\x80\x02})" + b"\x85" * 90_000 + b"K\x01s.",
        "a list in itself": b"\x80\x02]q\x00h\x00a.",
        "copies of text": b"\x80\x02]" + b"(" + text + copying + b"e.",
        "instructions": b"\x80\x02]" + b"}0" * 150_000 + b".",
        "hexadecimal digits of digits": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.",
    }


def in_zip(pickled: bytes, storages: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A file that torch takes for its own, around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        for name, content in (storages or {}).items():
            archive.writestr(f"archive/data/{name}", content)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def in_old_torch(pickled: bytes, storages: list[str] | None = None, data: bytes = b"") -> bytes:
    """The same in the format before torch 1.6."""
    head = (torch.serialization.MAGIC_NUMBER, 1001, {"protocol_version": 1001, "little_endian": True})
    return b"".join(pickle.dumps(each, 2) for each in head) + pickled + pickle.dumps(storages or [], 2) + data


def declared_tensor(elements: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A pickle of one tensor on a storage of so many float32 numbers."""

    class Stored(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return ("storage", torch.FloatStorage, "0", "cpu", elements) if value is marker else None

    class Rebuilt:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return torch._utils._rebuild_tensor_v2, (marker, 0, shape, stride, False, {})

    marker, buffer = object(), io.BytesIO()
    Stored(buffer, 2).dump({"a": Rebuilt()})
    return buffer.getvalue()


def greedy_files() -> dict[str, bytes]:
    """Files of a few hundred bytes, or far below a megabyte, that declare ten gigabytes or more."""
    shape = (HUGE // 4,)
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, HUGE]}}).encode()
    small, bomb = {"0": bytes(4)}, io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("archive/data.pkl", declared_tensor(10**7, (10**7,), (1,)))
        archive.writestr("archive/data/0", bytes(4 * 10**7))
    storage, repeated = declared_tensor(HUGE // 4, shape, (1,)), declared_tensor(1, shape, (0,))
    return {
        "safetensors": struct.pack("<Q", len(header)) + header + bytes(16),
        "a header of safetensors": struct.pack("<Q", HUGE) + b"{" + bytes(100),
        "deep header of safetensors": struct.pack("<Q", 200_000) + b'{"a":' + b"[" * 199_995,
        "storage": in_zip(storage, small),
        "missing storage": in_zip(storage),
        "storage of old torch": in_old_torch(storage, ["0"], struct.pack("<q", HUGE // 4) + bytes(16)),
        "repeated tensor": in_zip(repeated, small),
        "repeated tensor of old torch": in_old_torch(
            declared_tensor(1, shape, (0,)), ["0"], struct.pack("<q", 1) + bytes(4)
        ),
        "compressed storage": bomb.getvalue(),
        **{f"{name} in a zip": in_zip(each) for name, each in greedy().items()},
        **{f"{name} in old torch": in_old_torch(each) for name, each in greedy().items()},
        **greedy(),
    }
