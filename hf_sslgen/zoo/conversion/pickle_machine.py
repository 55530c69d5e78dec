"""Follow a pickle's instructions symbolically: whatever it names is neither imported nor called."""

import pickletools
from collections.abc import Callable, Mapping, Sized
from typing import IO, Any, cast

from hf_sslgen.zoo.conversion.pickle_values import Maker, Named, RefusedPickleError, Unfinished, safe_key, words

MOST_INSTRUCTIONS = 2_000_000
"""A few hundred bytes of memory each at worst; a network with the state of its optimiser needs some 100,000."""

COPIED_AT_LEAST, COPIED_TIMES = 2**24, 4
"""Bytes that calls may copy: so many, and so many times the size of the pickle."""

CONTAINED_BYTES = 64
"""Memory of a value in a container, roughly."""

CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
NUMBERS = frozenset(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"))
TEXTS = frozenset(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"))
OLD_TEXTS = frozenset(("STRING", "BINSTRING", "SHORT_BINSTRING"))
BYTES = frozenset(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"))
LITERALS = NUMBERS | TEXTS | OLD_TEXTS | BYTES
"""Instructions that push the value they state."""

IGNORED = ("PROTO", "FRAME")
OLDER_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Names of Python 2's modules."""


class _Machine:
    """The state between instructions.

    Attributes:
        stack: values made since the last mark; earlier ones are in `below`.
        memo: values by the number under which they are remembered.
        left: bytes that calls may still copy.
        remembered: such numbers by the identity of a value that is still unfinished.
    """

    def __init__(self, makers: Callable[[str], Maker | None], stored: Callable[[Any], Any] | None, size: int) -> None:
        self.makers, self.stored, self.left = makers, stored, COPIED_AT_LEAST + COPIED_TIMES * size
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.remembered: dict[int, list[int]] = {}
        self.steps: dict[str, Callable[[Any], None]] = {
            "MARK": self._mark,
            "POP_MARK": self._drop,
            "POP": self._pop,
            "DUP": lambda _: self._push(self.stack[-1]),
            "EMPTY_LIST": lambda _: self._push([]),
            "EMPTY_DICT": lambda _: self._push({}),
            "EMPTY_SET": lambda _: self._push(set()),
            "LIST": lambda _: self._push(self._since_mark()),
            "TUPLE": lambda _: self._push(tuple(self._since_mark())),
            "TUPLE1": lambda _: self._tuple(1),
            "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3),
            "DICT": self._dict,
            "FROZENSET": lambda _: self._push(frozenset(map(safe_key, self._since_mark()))),
            "APPEND": lambda _: self._extend([self.stack.pop()]),
            "APPENDS": lambda _: self._extend(self._since_mark()),
            "SETITEM": lambda _: self._set([self.stack.pop(-2), self.stack.pop()]),
            "SETITEMS": lambda _: self._set(self._since_mark()),
            "ADDITEMS": lambda _: self._add(self._since_mark()),
            "MEMOIZE": lambda _: self._put(len(self.memo)),
            "GLOBAL": lambda names: self._name(*names.split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._name(self.stack.pop(-2), self.stack.pop()),
            "REDUCE": self._call,
            "NEWOBJ": self._call,
            "BUILD": self._build,
            "BINPERSID": self._store,
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda index: self._push(self.memo[index])),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._put),
        }

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction.

        Raises:
            RefusedPickleError: it is not among those that plain values need.
        """
        if name in LITERALS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in self.steps:
            self.steps[name](argument)
        elif name not in IGNORED:
            raise RefusedPickleError(f"the instruction {name}")

    def _push(self, value: Any) -> None:
        self.stack.append(value)

    def _mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def _since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.below.pop()
        return values

    def _drop(self, _: Any) -> None:
        self._since_mark()

    def _pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._since_mark()

    def _tuple(self, length: int) -> None:
        if len(self.stack) < length:
            raise IndexError("values are missing")
        self.stack[-length:] = [tuple(self.stack[-length:])]

    def _dict(self, _: Any) -> None:
        pairs = self._since_mark()
        self.stack.append({})
        self._set(pairs)

    def _extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise RefusedPickleError(f"appending to {words(target)}")
        target.extend(values)

    def _set(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise RefusedPickleError(f"setting entries of {words(target)}")
        target.update(zip(map(safe_key, pairs[::2]), pairs[1::2], strict=True))

    def _add(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, set):
            raise RefusedPickleError(f"adding to {words(target)}")
        target.update(map(safe_key, values))

    def _put(self, index: int) -> None:
        value = self.memo[index] = self.stack[-1]
        if isinstance(value, Unfinished):
            self.remembered.setdefault(id(value), []).append(index)

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedPickleError("a name that is not text")
        full = f"{OLDER_MODULES.get(module, module)}.{name}"
        self.makers(full)  # refuses what it does not know, even if it is never called
        self.stack.append(Named(full))

    def _call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise RefusedPickleError(f"calling {words(function)}")
        maker = self.makers(function.name)
        if maker is None:
            raise RefusedPickleError(f"calling {function.name!r}")
        self.left -= sum(len(each) * _width(each) for each in arguments if isinstance(each, Sized))
        if self.left < 0:
            raise RefusedPickleError("copying the same values again and again")
        self.stack.append(maker(arguments))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, dict) and isinstance(state, dict):
            return  # attributes of an OrderedDict, such as the versions of modules in a state_dict
        if not isinstance(target, Unfinished):
            raise RefusedPickleError(f"setting the state of {words(target)}")
        self.stack[-1] = made = target.finished(state)
        for index in self.remembered.pop(id(target), ()):
            if self.memo[index] is target:
                self.memo[index] = made

    def _store(self, _: Any) -> None:
        identity = self.stack.pop()
        if self.stored is None:
            raise RefusedPickleError("content that is stored elsewhere (a persistent id)")
        self.stack.append(self.stored(identity))


def _width(values: Sized) -> int:
    return 1 if isinstance(values, (str, bytes, bytearray)) else CONTAINED_BYTES


class _Bounded:
    """A stream that allocates no more for a read than it has left, whatever length a pickle states."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, length: int) -> bytes:
        data = self.stream.read(min(length, self.left))
        self.left -= len(data)
        return data

    def readline(self) -> bytes:
        line = self.stream.readline(self.left)
        self.left -= len(line)
        return line


def interpret(
    stream: IO[bytes], size: int, makers: Callable[[str], Maker | None], stored: Callable[[Any], Any] | None = None
) -> Any:
    """Return what a pickle at the beginning of a stream describes; the stream is then at its end.

    Args:
        size: bytes of the stream at most.
        makers: called with each name in the pickle; returns how to make what a call of it would make, or None if it
            may be named but not called, and raises RefusedPickleError for anything else.
        stored: turns the identity of content outside the pickle into a value; None refuses such content.

    Raises:
        RefusedPickleError: the pickle asks for something other than plain values.
        ValueError, LookupError, TypeError, AttributeError, ArithmeticError: it is damaged.
    """
    machine = _Machine(makers, stored, size)
    for count, (operation, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], _Bounded(stream, size)))):
        if count >= MOST_INSTRUCTIONS:
            raise RefusedPickleError(f"more than {MOST_INSTRUCTIONS:,} instructions")
        if operation.name == "STOP":
            break
        machine.step(operation.name, argument)
    return machine.stack.pop()
