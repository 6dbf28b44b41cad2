"""The dtypes of safetensors, and what is asked of arrays of them."""

import keras
import ml_dtypes
import numpy as np

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}


def is_float(dtype):
    return keras.backend.is_float_dtype(dtype)


def is_finite(array):
    """Whether all numbers of an array are finite."""
    if array.size == 0 or not is_float(str(array.dtype)):
        return True
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))  # both propagate NaN


def as_bytes(array):
    """The memory of an array as a flat array of bytes."""
    return np.ascontiguousarray(array).reshape(-1).view("uint8")
