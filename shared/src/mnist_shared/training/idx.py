"""The IDX format of the MNIST files: a magic number, the sizes of the axes (big-endian), then bytes.

Source: http://yann.lecun.com/exdb/mnist/, "file formats for the MNIST database".
"""

import math
import struct

import torch
from torch import Tensor

UINT8 = 0x08  # the code of the only element type that MNIST-like sets use


def parse_idx(content: bytes, *, num_axes: int) -> Tensor:
    """The array in an IDX file's bytes, uint8, of `num_axes` axes.

    Raises:
        ValueError: magic number, number of axes, element type or length are wrong; the message says which.
    """
    header_bytes = 4 + 4 * num_axes
    if len(content) < header_bytes:
        raise ValueError(f"it has {len(content)} bytes, less than its header")
    zero, element, axes = struct.unpack(">HBB", content[:4])
    if (zero, element, axes) != (0, UINT8, num_axes):
        raise ValueError(f"it begins with 0x{content[:4].hex()}, not 0x000008{num_axes:02x}")
    shape = struct.unpack(f">{num_axes}I", content[4:header_bytes])
    if len(content) - header_bytes != math.prod(shape):
        sizes = " x ".join(str(size) for size in shape)
        raise ValueError(f"its header promises {sizes} bytes, and {len(content) - header_bytes} follow")
    if len(content) == header_bytes:
        raise ValueError("it is empty")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header_bytes).reshape(shape)
