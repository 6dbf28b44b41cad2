"""Weight matrices in 8 or 4 bits: how they are made, kept, read and multiplied.

    int8: w = scale[o] * q[o, i]
    int4: w = scale[o] * factor[o, g] * q[o, i], i in group g

with q whole numbers from -127 to 127, or from -8 to 7, and factors from 1 to 15: so that an int4
matrix is an int8 one whose groups of inputs share a factor, and one kernel multiplies both. The
inputs of a product are rounded to whole numbers as well, each row by its own scale. Sums of whole
numbers are exact: every backend gives the same. Dettmers et al., 2022, section 2,
https://arxiv.org/abs/2208.07339
"""

import math
from types import MappingProxyType

import keras
import numpy as np
from keras import ops

from zoo.backends import backend
from zoo.layers.initializers import do_weights_follow

MODES = ("int8", "int4")
LARGEST, LARGEST_4 = 127, 7  # of whole numbers
MOST_FACTOR = 15
ROWS_AT_ONCE = 2**12  # of a table that is quantised: what is in memory beside it


def quantized(rows, group=None):
    """An array `(outputs, inputs)` as whole numbers and scales.

    Args:
        rows: float32.
        group: int for int4, None for int8.

    Returns:
        int8 `(outputs, inputs)` and float32 `(outputs,)`; for int4 uint8 `(outputs, inputs / 2)`,
        uint8 `(outputs, inputs / group)` and float32 `(outputs,)`.
    """
    parts = [
        to_int8(rows[i : i + ROWS_AT_ONCE])
        if group is None
        else to_int4(rows[i : i + ROWS_AT_ONCE], group)
        for i in range(0, len(rows), ROWS_AT_ONCE)
    ]
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


class Quantized:
    """A layer of which some matrices can be kept in 8 or 4 bits.

    A quantised matrix is kept as `(outputs, inputs)`, whichever way round it was.

    Attributes:
        matrices: `{name: attribute}` of its matrices.
        rows_are_outputs: bool, whether they are `(outputs, inputs)` before.
        is_quantizable: bool, whether it is quantised with its model.
    """

    matrices = MappingProxyType({"kernel": "_kernel"})
    rows_are_outputs = False
    is_quantizable = True

    def quantize(self, mode=None, type_check=True, config=None, rounded=quantized):
        """Keep the matrices in 8 or 4 bits from now on; see `zoo.layers.quantized`.

        Args:
            mode: `"int8"` or `"int4"`.
            config: of Keras, whose `block_size` is the number of inputs that share a factor.
            rounded: `(rows, group) -> parts`, as `quantized`.

        Raises:
            ValueError: another mode, or inputs that groups do not divide.
        """
        if mode not in MODES:
            raise ValueError(f"A layer of this library is quantised to int8 or int4; got {mode!r}.")
        group = self._group(config) if mode == "int4" else None
        self.check_quantization(mode, group)
        for name, attribute in self.matrices.items():
            self._quantize_matrix(name, attribute, group, rounded)
        self._is_quantized = True
        if self.dtype_policy.quantization_mode is None:
            prefix = mode if group is None else f"int4/{group}"
            self.dtype_policy = keras.dtype_policies.get(f"{prefix}_from_{self.dtype_policy.name}")

    def _group(self, config):
        policy = self.dtype_policy
        return getattr(policy, "block_size", None) or config.block_size

    def check_quantization(self, mode, group):
        """Raise ValueError unless groups divide the inputs of every matrix."""
        for attribute in self.matrices.values() if mode == "int4" else ():
            check_group(
                self.path, getattr(self, attribute).shape[int(self.rows_are_outputs)], group
            )

    @property
    def quantization_name(self):
        """`"int8"`, `"int4/32"` with the size of its groups, or None."""
        group = getattr(self.dtype_policy, "block_size", None)
        return self.quantization_mode if group is None else f"{self.quantization_mode}/{group}"

    def _quantize_matrix(self, name, attribute, group, rounded):
        matrix = getattr(self, attribute)
        shape = matrix.shape if self.rows_are_outputs else matrix.shape[::-1]
        values = None
        if not do_weights_follow():
            array = ops.convert_to_numpy(matrix.value).astype("float32", copy=False)
            values = rounded(array if self.rows_are_outputs else array.T, group)
        self._untrack_variable(matrix)  # `delattr` would collect garbage for each matrix
        width = shape[1] if group is None else shape[1] // 2
        parts = {attribute: ("", (shape[0], width), "int8" if group is None else "uint8")}
        if group is not None:
            parts[f"{name}_factor"] = "_factor", (shape[0], shape[1] // group), "uint8"
        parts[f"{name}_scale"] = "_scale", (shape[0],), "float32"
        for place, (suffix, shape, dtype) in parts.items():
            weight = self.add_weight(
                name=name + suffix,
                shape=shape,
                initializer="zeros",
                dtype=dtype,
                trainable=False,
                autocast=False,
            )
            setattr(self, place, weight)
        if values is not None:
            for place, value in zip(parts, values, strict=True):
                getattr(self, place).assign(value)

    def stored(self, name):
        """A quantised matrix: a dict of its parts, with `kept` the whole numbers."""
        factor = getattr(self, f"{name}_factor", None)
        return {
            "kept": ops.convert_to_tensor(getattr(self, self.matrices[name])),
            "factor": None if factor is None else ops.convert_to_tensor(factor),
            "scale": ops.convert_to_tensor(getattr(self, f"{name}_scale")),
        }

    def floats(self, name):
        """A matrix the way round that it was before, in the compute dtype."""
        if self.quantization_mode is None:
            return ops.cast(getattr(self, self.matrices[name]), self.compute_dtype)
        rows = ops.cast(as_floats(**self.stored(name)), self.compute_dtype)
        return rows if self.rows_are_outputs else ops.transpose(rows)

    def quantized_call(self, *args, **kwargs):
        return self.call(*args, **kwargs)

    def save_own_variables(self, store):
        if self.quantization_mode is None:
            super().save_own_variables(store)
            return
        for weight in self.weights:
            store[weight.name] = weight

    def load_own_variables(self, store):
        if self.quantization_mode is None:
            super().load_own_variables(store)
            return
        for weight in self.weights:
            weight.assign(store[weight.name])


def count_as_floats(model):
    """How many numbers the weights of a model are, quantised or not."""
    total = model.count_params()
    for layer in model._flatten_layers():
        if isinstance(layer, Quantized) and layer.quantization_mode is not None:
            for name in layer.matrices:
                parts = layer.stored(name)
                extra = [p for key, p in parts.items() if key != "kept" and p is not None]
                total -= sum(math.prod(part.shape) for part in extra)
                if parts["factor"] is not None:
                    total += math.prod(parts["kept"].shape)  # which holds two in each
    return total


def check_group(path, width, group):
    """Raise ValueError unless groups divide the inputs of a matrix."""
    if group is None:
        return
    if group < 2 or width % group or width % 2:
        raise ValueError(
            f"int4 keeps inputs in groups, so that group must divide the width of every matrix; "
            f"{path} has {width} inputs and group is {group}. Pass another group, or use int8."
        )


def to_int8(rows):
    scale = np.abs(rows).max(axis=1) / np.float32(LARGEST)
    safe = np.where(scale > 0, scale, 1)[:, None]
    return np.rint(rows / safe).astype("int8"), scale.astype("float32")


def to_int4(rows, group):
    """Each group's factor is the one of a few that leaves the smallest squared error."""
    scale = largest_scale(rows)
    groups = rows.reshape(len(rows), -1, group) / np.where(scale > 0, scale, 1)[:, None, None]
    factor, kept = choose_factors(groups)
    return pack(kept.reshape(rows.shape)), factor[:, :, 0].astype("uint8"), scale


def largest_scale(rows):
    """float32 `(outputs,)`: with it the largest numbers have the largest factor."""
    return (np.abs(rows).max(axis=1) / np.float32(LARGEST_4 * MOST_FACTOR)).astype("float32")


def choose_factors(groups, importance=1.0):
    """The factor of each group, of those around its largest number, and its whole numbers.

    Args:
        groups: float32 `(outputs, groups, inputs of a group)`, divided by the scale.
        importance: what the squared error of each input counts, broadcast.

    Returns:
        Floats `(outputs, groups, 1)` and, from -8 to 7, as `groups`.
    """
    needed = np.ceil(np.abs(groups).max(axis=2, keepdims=True) / LARGEST_4)
    best = np.full(needed.shape, np.inf), np.ones(needed.shape), np.zeros(groups.shape)
    for fewer in range(4):
        factor = np.clip(needed - fewer, 1, MOST_FACTOR)
        kept = np.clip(np.rint(groups / factor), -LARGEST_4 - 1, LARGEST_4)
        error = (np.square(groups - kept * factor) * importance).sum(axis=2, keepdims=True)
        better = error < best[0]
        new = error, factor, kept
        best = tuple(np.where(better, b, a) for a, b in zip(best, new, strict=True))
    return best[1:]


def pack(kept):
    """uint8 `(outputs, inputs / 2)`: numbers from -8 to 7, the second half beside the first."""
    low, high = np.split((kept + 8).astype("uint8"), 2, axis=1)
    return low | high << 4


def as_int8(kept, factor):
    """int8 `(outputs, inputs)`: what products multiply by."""
    if factor is None:
        return kept
    low = ops.bitwise_and(kept, ops.full((), 15, dtype="uint8"))
    high = ops.right_shift(kept, ops.full((), 4, dtype="uint8"))
    whole = ops.cast(ops.concatenate([low, high], axis=-1), "int8") - ops.full((), 8, dtype="int8")
    group = whole.shape[-1] // factor.shape[-1]
    return whole * ops.cast(ops.repeat(factor, group, axis=-1), "int8")


def as_floats(kept, factor, scale):
    """float32 `(outputs, inputs)`."""
    return ops.cast(as_int8(kept, factor), "float32") * scale[..., None]


def product(x, kept, factor, scale):
    """float32 `(..., outputs)`: `x @ w.T`, the rows of `x` rounded to whole numbers too."""
    rows = ops.reshape(ops.cast(x, "float32"), (-1, x.shape[-1]))
    outputs = backend.int8_product(rows, as_int8(kept, factor), scale)
    return ops.reshape(outputs, (*ops.shape(x)[:-1], scale.shape[0]))


def take_rows(ids, kept, factor, scale):
    """float32 `(*ids.shape, inputs)`: rows of a matrix."""
    factor = None if factor is None else ops.take(factor, ids, axis=0)
    return as_floats(ops.take(kept, ids, axis=0), factor, ops.take(scale, ids, axis=0))
