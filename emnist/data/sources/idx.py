"""The idx file format of MNIST and EMNIST: a big-endian header, then the bytes of an array.

Own reader, since torchvision's reads no gzip and fails with a bare assertion on damaged files.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np

from emnist.errors import UserError

UINT8, INT32 = 0x08, 0x0C  # the third byte of the magic number; the fourth is the number of dimensions
TYPES: dict[int, np.dtype] = {UINT8: np.dtype(np.uint8), INT32: np.dtype(">i4")}


def read_idx(path: Path, dimensions: int, kind: int = UINT8) -> np.ndarray:
    """Read an idx file of `kind` UINT8 or INT32, gzip-compressed if its name ends in `.gz`.

    Returns a read-only array of the shape the header gives.
    Raises UserError, naming the file, if it can't be read or is not such a file in full.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: truncated or corrupt gzip ({error}); download the file again") from error
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror or error})") from error

    header = 4 + 4 * dimensions
    magic = kind << 8 | dimensions
    found = int.from_bytes(content[:4], "big")
    if len(content) < header or found != magic:
        raise UserError(
            f"{path}: magic number {found:#010x}, but an idx file of {dimensions}-dimensional {TYPES[kind].name} "
            f"starts with {magic:#010x}"
        )
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions))
    expected = header + int(np.prod(shape, dtype=np.int64)) * TYPES[kind].itemsize
    if len(content) != expected:
        raise UserError(
            f"{path}: {len(content):,} bytes, but its header says {' × '.join(map(str, shape))}, "
            f"so {expected:,}; download the file again"
        )
    return np.frombuffer(content, TYPES[kind], offset=header).reshape(shape)
