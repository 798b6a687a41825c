"""Arrays on a device, by the CUDA array interface: copied to host memory and back with the CUDA driver's own functions.

The driver is loaded when the first such array comes; no package for devices is needed.  The thread that uses a plan must have used the
device before, as it has where it made the array.
Invariant: when `to_host` and `from_host` return, the copy is complete and later work on any stream sees it.
"""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any

import numpy as np

from .. import errors

DRIVER = "libcuda.so.1"
LEGACY_STREAM = 1


@functools.cache
def driver() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(DRIVER)
    except OSError as error:
        raise errors.SystemError(f"use an array on a device: the CUDA driver cannot be loaded: {error}") from None


def call(function: str, *arguments: Any) -> None:
    status = getattr(driver(), function)(*arguments)
    if status != 0:
        text = ctypes.c_char_p()
        driver().cuGetErrorString(status, ctypes.byref(text))
        raise errors.SystemError(f"use an array on a device: {function}: {(text.value or b'unknown error').decode()} ({status})")


def stream_number(stream: Any) -> int:
    """The handle of a stream: a number, or an object of CuPy (ptr) or PyTorch (cuda_stream)."""
    for name in ("ptr", "cuda_stream"):
        stream = getattr(stream, name, stream)
    return int(stream)


def contiguous_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    return tuple(itemsize * math.prod(shape[d + 1 :]) for d in range(len(shape)))


class DeviceArray:
    """An array on a device: where its memory is, and what it looks like.  Work on it that its streams still do is waited for."""

    def __init__(self, array: Any, stream: Any):
        said = getattr(array, "__cuda_array_interface__", None)
        if said is None:
            raise TypeError(f"it is a {type(array).__name__}; give an array of numpy, or one with __cuda_array_interface__")
        self.pointer, self.read_only = said["data"]
        self.shape, self.dtype = tuple(said["shape"]), np.dtype(said["typestr"])
        self.strides = said.get("strides")
        for one in (said.get("stream"), stream):
            if one is not None:
                call("cuStreamSynchronize", ctypes.c_void_p(stream_number(one)))

    def unlike(self, dtype: np.dtype, shape: list[int], strides: list[int], is_target: bool) -> str:
        """In which way it is not as a part should be, or nothing."""
        own = self.strides or contiguous_strides(self.shape, self.dtype.itemsize)
        if self.dtype != dtype:
            return f"its dtype is {self.dtype}"
        if self.shape != tuple(shape):
            return f"its shape is {self.shape}"
        if any(n > 1 and have != want for n, have, want in zip(shape, own, strides, strict=True)) and 0 not in shape:
            return f"its strides are {tuple(own)}"
        return "it is read-only" if is_target and self.read_only else ""

    def to_host(self, room: np.ndarray) -> None:
        """Copy its memory as it lies to `room`, of the same shape and strides."""
        if room.nbytes:
            call("cuMemcpyDtoH_v2", ctypes.c_void_p(room.ctypes.data), ctypes.c_uint64(self.pointer), ctypes.c_size_t(room.nbytes))

    def from_host(self, room: np.ndarray) -> None:
        """The other way."""
        if room.nbytes:
            call("cuMemcpyHtoD_v2", ctypes.c_uint64(self.pointer), ctypes.c_void_p(room.ctypes.data), ctypes.c_size_t(room.nbytes))
            call("cuStreamSynchronize", ctypes.c_void_p(LEGACY_STREAM))
