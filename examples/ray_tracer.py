"""A ray tracer: spheres on a chequered floor, with shadows, highlights and mirrors, drawn on all cores.

    python examples/ray_tracer.py [--height 900] [--output ray_tracer.png]

`Vec` and `Sphere` are structs: dataclasses in Python, values in registers when compiled. The time is compared with the
same functions run by Python alone.
"""

from __future__ import annotations

import argparse
import math
import struct as binary
import time
import zlib
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from sapwood import Tensor, fn, parallel, struct, u8

FAR = 1e20


@struct(frozen=True)
class Vec:
    x: float
    y: float
    z: float

    def __add__(self, other: Vec) -> Vec:
        return Vec(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other: Vec) -> Vec:
        return Vec(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, k: float) -> Vec:
        return Vec(self.x * k, self.y * k, self.z * k)

    def dot(self, other: Vec) -> float:
        return self.x * other.x + self.y * other.y + self.z * other.z

    def unit(self) -> Vec:
        return self * (1.0 / math.sqrt(self.dot(self)))


@struct(frozen=True)
class Sphere:
    centre: Vec
    radius: float
    colour: Vec
    mirror: float

    def hit(self, origin: Vec, direction: Vec) -> float:
        """Distance along the ray to the sphere, or FAR."""
        to = self.centre - origin
        along = to.dot(direction)
        square = self.radius * self.radius - to.dot(to) + along * along
        if square <= 0.0:
            return FAR
        root = math.sqrt(square)
        if along - root > 1e-6:
            return along - root
        return along + root if along + root > 1e-6 else FAR


@fn
def sphere(spheres: Tensor[float, 2], k: int) -> Sphere:
    """Row k: centre, radius, colour, mirror."""
    return Sphere(
        Vec(spheres[k, 0], spheres[k, 1], spheres[k, 2]),
        spheres[k, 3],
        Vec(spheres[k, 4], spheres[k, 5], spheres[k, 6]),
        spheres[k, 7],
    )


@fn
def in_shadow(spheres: Tensor[float, 2], point: Vec, light: Vec) -> bool:
    for k in range(spheres.shape[0]):
        if sphere(spheres, k).hit(point, light) < FAR:
            return True
    return False


@fn
def trace(spheres: Tensor[float, 2], origin: Vec, direction: Vec, light: Vec) -> Vec:
    """The colour that a ray sees, after at most five bounces."""
    white = Vec(1.0, 1.0, 1.0)
    colour = Vec(0.0, 0.0, 0.0)
    weight = 1.0
    for _ in range(5):
        nearest = FAR
        which = -1
        for k in range(spheres.shape[0]):
            distance = sphere(spheres, k).hit(origin, direction)
            if distance < nearest:
                nearest = distance
                which = k
        if direction.y < -1e-9 and -origin.y / direction.y < nearest:  # the floor comes first
            point = origin + direction * (-origin.y / direction.y)
            normal = Vec(0.0, 1.0, 0.0)
            dark = (math.floor(point.x) + math.floor(point.z)) % 2 == 0
            base = Vec(0.25, 0.25, 0.3) if dark else Vec(0.85, 0.85, 0.85)
            mirror = 0.15
        elif which >= 0:
            point = origin + direction * nearest
            ball = sphere(spheres, which)
            normal = (point - ball.centre) * (1.0 / ball.radius)
            base = ball.colour
            mirror = ball.mirror
        else:
            t = 0.5 * (direction.y + 1.0)
            return colour + (white * (1.0 - t) + Vec(0.35, 0.6, 1.0) * t) * weight
        point = point + normal * 1e-6
        reflected = direction - normal * (2.0 * direction.dot(normal))
        bright, shine = 0.15, 0.0
        facing = normal.dot(light)
        if facing > 0.0 and not in_shadow(spheres, point, light):
            bright += 0.85 * facing
            s = reflected.dot(light)
            if s > 0.0:
                for _ in range(5):
                    s *= s
                shine = 0.6 * s
        colour = colour + (base * bright + white * shine) * (weight * (1.0 - mirror))
        weight *= mirror
        if weight < 0.01:
            break
        origin = point
        direction = reflected
    return colour


@fn
def level(x: float) -> int:
    return int(255.0 * math.sqrt(x if x < 1.0 else 1.0) + 0.5)


@fn
def render(picture: Tensor[u8, 3], spheres: Tensor[float, 2]) -> None:
    """Fills `picture[height, width, 3]` (RGB)."""
    height, width, _ = picture.shape
    eye = Vec(0.0, 1.6, -6.0)
    light = Vec(-0.6, 1.0, -0.7).unit()
    for row in parallel(height):
        for column in range(width):
            x = (column + 0.5 - 0.5 * width) / height
            y = (0.5 * height - row - 0.5) / height
            colour = trace(spheres, eye, Vec(x, y - 0.12, 1.1).unit(), light)
            picture[row, column, 0] = u8(level(colour.x))
            picture[row, column, 1] = u8(level(colour.y))
            picture[row, column, 2] = u8(level(colour.z))


def scene() -> np.ndarray:
    """Five spheres; a row is centre, radius, colour, and the share of light that it mirrors."""
    return np.array(
        [
            [0.0, 1.0, 0.0, 1.0, 0.9, 0.25, 0.2, 0.3],
            [-2.1, 0.8, -0.6, 0.8, 0.2, 0.5, 0.9, 0.4],
            [2.0, 0.7, -0.9, 0.7, 0.95, 0.8, 0.2, 0.2],
            [0.9, 0.35, -1.9, 0.35, 0.3, 0.85, 0.4, 0.1],
            [-0.8, 0.3, -2.0, 0.3, 0.9, 0.9, 0.95, 0.7],
        ]
    )


def write_png(path: Path, picture: np.ndarray) -> None:
    """`picture[height, width, 3]`, u8, as an 8-bit RGB file."""
    height, width, _ = picture.shape
    raw = b"".join(b"\0" + row.tobytes() for row in picture)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return binary.pack(">I", len(data)) + kind + data + binary.pack(">I", zlib.crc32(kind + data))

    header = binary.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


def without_sapwood(name: str) -> Any:
    """The function of this module as Python runs it: the functions that it calls are not compiled, either."""
    plain: dict[str, Any] = {**globals(), "parallel": range}
    for key, value in globals().items():
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType):
            plain[key] = FunctionType(wrapped.__code__, plain, key, wrapped.__defaults__)
    return plain[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=900, help="of the picture; it is 4/3 as wide")
    parser.add_argument("--output", type=Path, default=Path("ray_tracer.png"))
    options = parser.parse_args()
    height = options.height
    picture = np.zeros((height, height * 4 // 3, 3), np.uint8)
    spheres = scene()
    times: list[float] = []
    for _ in range(4):
        start = time.perf_counter()
        render(picture, spheres)
        times.append(time.perf_counter() - start)
    part = np.zeros((max(height // 20, 3), max(height // 15, 4), 3), np.uint8)
    start = time.perf_counter()
    without_sapwood("render")(part, spheres)
    python = (time.perf_counter() - start) * picture.size / part.size
    write_png(options.output, picture)
    print(f"{picture.shape[1]} x {height} pixels, written to {options.output}")
    print(f"Sapwood {min(times):.3f} s (the first call, which compiles or loads: {times[0]:.3f} s)")
    print(f"Python  {python:.1f} s, {python / min(times):.0f} times as long (from a small picture)")


if __name__ == "__main__":
    main()
