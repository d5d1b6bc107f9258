from __future__ import annotations

import struct
import zlib

import numpy as np


def test_all_three_agree(example):
    m = example("mandelbrot")
    compiled, python, numpy = (np.zeros((23, 31), dtype=np.int64) for _ in range(3))
    m.escape_times(compiled, 50)
    m.escape_times.__wrapped__(python, 50)
    m.escape_times_numpy(numpy, 50)
    assert (compiled == python).all()
    assert (compiled == numpy).all()
    assert compiled.min() == 1
    assert compiled.max() == 50


def test_picture(run_example, tmp_path):
    text = run_example("mandelbrot", "--size", "60x40", "--limit", "30", "--output", "set.png")
    assert "60 x 40 pixels, written to set.png" in text
    assert "0.00% of pixels differ" in text
    data = (tmp_path / "set.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += size + 12
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (60, 40, 8, 2, 0, 0, 0)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(40, 1 + 3 * 60)
    assert (rows[:, 0] == 0).all()
    assert rows[20, 1 + 3 * 40 :][:3].tolist() == [10, 10, 10]  # inside of the set
    assert len({tuple(p) for p in rows[:, 1:].reshape(-1, 3).tolist()}) > 8
