"""Convert and validate the metrics' inputs.

Every metric takes NumPy arrays, (nested) lists or torch tensors of any device and precision, and computes in float64.
Invalid input raises `ValueError` naming the argument, its shape or first offending value, and what was expected, so
that a wrong array never turns into a plausible number.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PROBABILITY_TOLERANCE = 1e-6


def to_numpy(value: Any, name: str) -> npt.NDArray[Any]:
    """Convert an array, list or torch tensor to a numeric NumPy array, copying only if necessary.

    Tensors keep their precision if NumPy supports it; bfloat16 and narrower types become float32, which represents all
    their values. torch is never imported here: a caller with a tensor has already imported it.
    """
    if is_tensor(value):
        return _tensor_to_numpy(value, name)
    if isinstance(value, (list, tuple)) and any(is_tensor(item) for item in value):
        value = [to_numpy(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{name} must be a plain array, got a masked array, whose mask would be ignored")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be a regular numeric array, got {type(value).__name__}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype} with shape {array.shape}")
    return array


def is_tensor(value: Any) -> bool:
    """Whether `value` is a torch tensor, determined without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _tensor_to_numpy(tensor: Any, name: str) -> npt.NDArray[Any]:
    try:
        tensor = tensor.detach().cpu()
        known_to_numpy = tensor.dtype.itemsize >= 4 or not tensor.is_floating_point()
        array: npt.NDArray[Any] = (tensor if known_to_numpy else tensor.float()).numpy()
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"{name} must be a dense tensor that holds data, got {tensor.layout} on {tensor.device}"
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype} with shape {array.shape}")
    return array


def raise_at_first(offending: BoolArray, array: npt.NDArray[Any], name: str, expected: str) -> None:
    """Raise `ValueError` quoting the first entry of `array` where `offending` is True, if there is one."""
    if offending.any():
        index = np.unravel_index(int(np.argmax(offending)), array.shape)
        position = ", ".join(str(int(i)) for i in index)
        raise ValueError(f"{name} must be {expected}, but {name}[{position}] is {array[index]} (shape {array.shape})")


def require_shape(shape: tuple[int, ...], name: str, expected: tuple[str, ...]) -> None:
    """Raise `ValueError` unless `shape` has one axis per name in `expected`, such as `("N", "C")`, and none is 0."""
    axes = f"({', '.join(expected)}{',' if len(expected) == 1 else ''})"
    if len(shape) != len(expected):
        raise ValueError(f"{name} must have shape {axes}, got shape {shape}")
    if 0 in shape:
        raise ValueError(f"{name} must not be empty: expected shape {axes}, got shape {shape}")


def float_array(value: Any, name: str, shape: tuple[str, ...], allow_nan: bool = False) -> FloatArray:
    """Return a float64 array with one axis per name in `shape`, such as `("N", "C")`, non-empty and finite.

    With `allow_nan`, NaN stands for "undefined for this sample" and is accepted; infinity never is.
    """
    array = to_numpy(value, name)
    require_shape(array.shape, name, shape)
    array = array.astype(np.float64, copy=False)
    if allow_nan:
        raise_at_first(np.isinf(array), array, name, "finite or NaN")
    else:
        raise_at_first(~np.isfinite(array), array, name, "finite")
    return array


def label_array(value: Any, name: str, num_classes: int | None = None) -> IntArray:
    """Return class labels of shape (N,) in [0, num_classes), or any non-negative integers if `num_classes` is None."""
    array = to_numpy(value, name)
    require_shape(array.shape, name, ("N",))
    expected = "integer class labels" if num_classes is None else f"integer class labels in [0, {num_classes})"
    if array.dtype.kind == "f":  # whole floats are unambiguous, so they pass
        raise_at_first(~(np.floor(array) == array) | np.isinf(array), array, name, expected)
    if array.dtype.kind == "b":
        array = array.astype(np.int64)  # NumPy can't compare booleans with large integers
    upper = 2**63 if num_classes is None else num_classes
    raise_at_first((array < 0) | (array >= upper), array, name, expected)
    return array.astype(np.int64)


def binary_array(value: Any, name: str, meaning: str) -> BoolArray:
    """Return booleans, or numbers that are 0 or 1, of shape (N,)."""
    array = to_numpy(value, name)
    require_shape(array.shape, name, ("N",))
    raise_at_first((array != 0) & (array != 1), array, name, f"boolean, or 0 and 1 ({meaning})")
    return array.astype(np.bool_)


def confidence_array(value: Any, name: str) -> FloatArray:
    """Return probabilities of shape (N,); values outside [0, 1] by rounding (up to 1e-6) are clipped.

    Booleans are rejected, because they are usually the `correct` of a call with swapped arguments.
    """
    array = to_numpy(value, name)
    if array.dtype.kind == "b":
        raise ValueError(f"{name} must be probabilities in [0, 1], got booleans with shape {array.shape}")
    array = float_array(array, name, ("N",))
    offending = (array < -PROBABILITY_TOLERANCE) | (array > 1.0 + PROBABILITY_TOLERANCE)
    raise_at_first(offending, array, name, "probabilities in [0, 1]")
    return np.clip(array, 0.0, 1.0)


def confidences_and_correct(confidences: Any, correct: Any) -> tuple[FloatArray, BoolArray]:
    """Return the inputs of most confidence metrics: p and y, both of shape (N,)."""
    p = confidence_array(confidences, "confidences")
    y = binary_array(correct, "correct", "1 where the prediction is right")
    require_equal_lengths(confidences=p, correct=y)
    return p, y


def positive_integer(value: Any, name: str, minimum: int = 1) -> int:
    """Return a Python or NumPy integer of at least `minimum`; booleans and floats are rejected."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}")
    return int(value)


def open_unit_level(value: Any, name: str) -> float:
    """Return a coverage level strictly between 0 and 1."""
    if not isinstance(value, (int, float, np.floating)) or not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {value!r}")
    return float(value)


def require_equal_lengths(**arrays: npt.NDArray[Any]) -> None:
    """Raise `ValueError` unless all arrays, named by keyword, have the same first axis."""
    (first_name, first), *others = arrays.items()
    for name, array in others:
        if len(array) != len(first):
            raise ValueError(
                f"{first_name} and {name} must have the same length, got shapes {first.shape} and {array.shape}"
            )
