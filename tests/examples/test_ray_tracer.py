from __future__ import annotations

import struct
import zlib

import numpy as np


def test_compiled_and_python_draw_the_same(example):
    m = example("ray_tracer")
    compiled, python = np.zeros((18, 24, 3), np.uint8), np.zeros((18, 24, 3), np.uint8)
    m.render(compiled, m.scene())
    m.without_sapwood("render")(python, m.scene())
    assert (compiled == python).all()
    assert len({tuple(pixel) for pixel in compiled.reshape(-1, 3).tolist()}) > 100


def test_picture(run_example, tmp_path):
    text = run_example("ray_tracer", "--height", "30", "--output", "spheres.png")
    assert "40 x 30 pixels, written to spheres.png" in text
    data = (tmp_path / "spheres.png").read_bytes()
    assert struct.unpack(">II", data[16:24]) == (40, 30)
    size = struct.unpack(">I", data[33:37])[0]
    assert data[37:41] == b"IDAT"
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + size]), np.uint8).reshape(30, 1 + 3 * 40)
    red, _, blue = rows[2, 1:4]  # the sky
    assert blue > red
