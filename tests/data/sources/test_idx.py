import gzip
import re

import numpy as np
import pytest

from emnist.data.sources.idx import read_idx
from emnist.errors import UserError
from tests.fixtures.idx_files import write_idx


@pytest.mark.parametrize("name", ["images-ubyte", "images-ubyte.gz"])
def test_reads_what_was_written(tmp_path, name):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / name, array)
    assert np.array_equal(read_idx(tmp_path / name, 3), array)


def broken(content: bytes) -> dict[str, tuple[str, bytes, str]]:
    packed = gzip.compress(content)
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0xFF
    return {
        "truncated gzip": ("labels.gz", packed[:-20], "truncated or corrupt gzip"),
        "corrupt gzip": ("labels.gz", bytes(flipped), "truncated or corrupt gzip"),
        "no gzip at all": ("labels.gz", content, "truncated or corrupt gzip"),
        "wrong magic number": ("labels", b"\0\0\x0d\x01" + content[4:], "magic number 0x00000d01.*0x00000801"),
        "empty": ("labels", b"", "magic number"),
        "shorter than its header says": ("labels", content[:-1], "107 bytes.*header says 100, so 108"),
        "longer than its header says": ("labels", content + b"\0", "109 bytes.*header says 100, so 108"),
    }


@pytest.mark.parametrize("case", broken(b"").keys())
def test_broken_file_is_named_with_what_is_wrong(tmp_path, case):
    content = bytes([0, 0, 8, 1, 0, 0, 0, 100]) + bytes(np.random.RandomState(0).randint(0, 256, 100).astype(np.uint8))
    name, broken_content, message = broken(content)[case]
    path = tmp_path / name
    path.write_bytes(broken_content)
    with pytest.raises(UserError, match=f"{re.escape(str(path))}: .*{message}"):
        read_idx(path, 1)


def test_unreadable_file(tmp_path):
    with pytest.raises(UserError, match="can't be read"):
        read_idx(tmp_path, 1)
