import math

import numba
import numpy as np
from driver import report_bytes
from numba import njit, prange

FAR = 1e20


@njit
def plus(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@njit
def minus(a, b):
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@njit
def times(a, k):
    return a[0] * k, a[1] * k, a[2] * k


@njit
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit
def unit(a):
    return times(a, 1.0 / math.sqrt(dot(a, a)))


@njit
def hit(spheres, k, origin, direction):
    to = (spheres[k, 0] - origin[0], spheres[k, 1] - origin[1], spheres[k, 2] - origin[2])
    radius = spheres[k, 3]
    along = dot(to, direction)
    square = radius * radius - dot(to, to) + along * along
    if square <= 0.0:
        return FAR
    root = math.sqrt(square)
    if along - root > 1e-6:
        return along - root
    return along + root if along + root > 1e-6 else FAR


@njit
def in_shadow(spheres, point, light):
    for k in range(len(spheres)):
        if hit(spheres, k, point, light) < FAR:
            return True
    return False


@njit
def trace(spheres, origin, direction, light):
    colour = (0.0, 0.0, 0.0)
    white = (1.0, 1.0, 1.0)
    weight = 1.0
    for _ in range(5):
        nearest = FAR
        which = -1
        for k in range(len(spheres)):
            distance = hit(spheres, k, origin, direction)
            if distance < nearest:
                nearest = distance
                which = k
        normal = (0.0, 1.0, 0.0)
        if direction[1] < -1e-9 and -origin[1] / direction[1] < nearest:
            nearest = -origin[1] / direction[1]
            point = plus(origin, times(direction, nearest))
            square = math.floor(point[0]) + math.floor(point[2])
            base = (0.85, 0.85, 0.85) if square & 1 else (0.25, 0.25, 0.3)
            mirror = 0.15
        elif which >= 0:
            point = plus(origin, times(direction, nearest))
            centre = (spheres[which, 0], spheres[which, 1], spheres[which, 2])
            normal = times(minus(point, centre), 1.0 / spheres[which, 3])
            base = (spheres[which, 4], spheres[which, 5], spheres[which, 6])
            mirror = spheres[which, 7]
        else:
            t = 0.5 * (direction[1] + 1.0)
            sky = plus(times(white, 1.0 - t), times((0.35, 0.6, 1.0), t))
            return plus(colour, times(sky, weight))
        point = plus(point, times(normal, 1e-6))
        reflected = minus(direction, times(normal, 2.0 * dot(direction, normal)))
        bright, shine = 0.15, 0.0
        facing = dot(normal, light)
        if facing > 0.0 and not in_shadow(spheres, point, light):
            bright += 0.85 * facing
            s = dot(reflected, light)
            if s > 0.0:
                for _ in range(5):
                    s *= s
                shine = 0.6 * s
        here = plus(times(base, bright), times(white, shine))
        colour = plus(colour, times(here, weight * (1.0 - mirror)))
        weight *= mirror
        if weight < 0.01:
            break
        origin = point
        direction = reflected
    return colour


@njit
def level(x):
    return np.uint8(255.0 * math.sqrt(x if x < 1.0 else 1.0) + 0.5)


@njit
def line(spheres, picture, row, light):
    height, width, _ = picture.shape
    eye = (0.0, 1.6, -6.0)
    for column in range(width):
        x = (column + 0.5 - 0.5 * width) / height
        y = (0.5 * height - row - 0.5) / height
        colour = trace(spheres, eye, unit((x, y - 0.12, 1.1)), light)
        picture[row, column, 0] = level(colour[0])
        picture[row, column, 1] = level(colour[1])
        picture[row, column, 2] = level(colour[2])


@njit
def draw(spheres, picture):
    light = unit((-0.6, 1.0, -0.7))
    for row in range(picture.shape[0]):
        line(spheres, picture, row, light)


@njit(parallel=True)
def draw_parallel(spheres, picture):
    light = unit((-0.6, 1.0, -0.7))
    for row in prange(picture.shape[0]):
        line(spheres, picture, row, light)


def prepare(n, data):
    spheres = np.array(
        [
            [0.0, 1.0, 0.0, 1.0, 0.9, 0.25, 0.2, 0.3],
            [-2.1, 0.8, -0.6, 0.8, 0.2, 0.5, 0.9, 0.4],
            [2.0, 0.7, -0.9, 0.7, 0.95, 0.8, 0.2, 0.2],
            [0.9, 0.35, -1.9, 0.35, 0.3, 0.85, 0.4, 0.1],
            [-0.8, 0.3, -2.0, 0.3, 0.9, 0.9, 0.95, 0.7],
        ]
    )
    return spheres, np.zeros((3 * n, 4 * n, 3), np.uint8)


def run(state, threads):
    spheres, picture = state
    if threads > 1:
        numba.set_num_threads(threads)
        draw_parallel(spheres, picture)
    else:
        draw(spheres, picture)
    return picture


def report(picture):
    return report_bytes(picture.tobytes())
