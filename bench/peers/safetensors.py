"""Safetensors files with numpy alone: Debian 12 has no package that reads them."""
import json
import os
from pathlib import Path

import numpy as np

_TYPES = {"F32": np.float32, "I64": np.int64, "BF16": np.uint16}


def to_bfloat16(x):
    """The bits of float32 numbers, rounded to nearest even: uint16 of the same shape."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


class Tensors:
    """The tensors of a file by name; read when they are asked for, bfloat16 as float32."""

    def __init__(self, path):
        self._bytes = np.memmap(path, np.uint8, "r")
        size = int(self._bytes[:8].view(np.uint64)[0])
        self._header = json.loads(self._bytes[8:8 + size].tobytes())
        self._begin = 8 + size
        self._header.pop("__metadata__", None)

    def __iter__(self):
        return iter(self._header)

    def shape(self, name):
        return tuple(self._header[name]["shape"])

    def __getitem__(self, name):
        entry = self._header[name]
        begin, end = (self._begin + offset for offset in entry["data_offsets"])
        numbers = self._bytes[begin:end].view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
        return from_bfloat16(numbers) if entry["dtype"] == "BF16" else np.array(numbers)


def write(path, shapes, numbers_of, dtype="F32"):
    """Writes tensors one by one, so that a large model is never in memory as a whole.

    shapes: name -> shape; numbers_of(name, shape): its numbers, which are rounded to `dtype` (F32, BF16 or I64)."""
    width = np.dtype(_TYPES[dtype]).itemsize
    header, at = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape)) * width
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    partial = Path(str(path) + ".partial")
    with open(partial, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            numbers = numbers_of(name, shape)
            file.write((to_bfloat16(numbers) if dtype == "BF16" else np.asarray(numbers, _TYPES[dtype])).tobytes())
    os.replace(partial, path)
