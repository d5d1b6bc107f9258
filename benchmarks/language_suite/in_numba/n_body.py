import math

import numpy as np
from numba import njit


@njit
def advance(p, v, mass, dt):
    count = len(mass)
    for i in range(count):
        for j in range(i + 1, count):
            dx = p[i, 0] - p[j, 0]
            dy = p[i, 1] - p[j, 1]
            dz = p[i, 2] - p[j, 2]
            square = dx * dx + dy * dy + dz * dz
            pull = dt / (square * math.sqrt(square))
            v[i, 0] -= dx * mass[j] * pull
            v[i, 1] -= dy * mass[j] * pull
            v[i, 2] -= dz * mass[j] * pull
            v[j, 0] += dx * mass[i] * pull
            v[j, 1] += dy * mass[i] * pull
            v[j, 2] += dz * mass[i] * pull
    for i in range(count):
        for k in range(3):
            p[i, k] += dt * v[i, k]


@njit
def total_energy(p, v, mass):
    e = 0.0
    for i in range(len(mass)):
        e += 0.5 * mass[i] * (v[i, 0] * v[i, 0] + v[i, 1] * v[i, 1] + v[i, 2] * v[i, 2])
        for j in range(i + 1, len(mass)):
            dx = p[i, 0] - p[j, 0]
            dy = p[i, 1] - p[j, 1]
            dz = p[i, 2] - p[j, 2]
            e -= mass[i] * mass[j] / math.sqrt(dx * dx + dy * dy + dz * dz)
    return e


@njit
def simulate(p, v, mass, steps):
    for _ in range(steps):
        advance(p, v, mass, 0.001)
    return total_energy(p, v, mass)


def prepare(n, data):
    return n


def run(steps, threads):
    p = np.array([[0.0, 0.0, 0.0], [5.0, 0.5, 0.1], [-9.0, 1.5, -0.2], [1.0, 15.0, 0.3], [-2.0, -25.0, 0.6]])
    v = np.array([[0.0, 0.0, 0.0], [0.1, 2.8, 0.05], [-0.2, -2.1, 0.02], [-1.6, 0.1, -0.04], [1.25, -0.1, 0.03]])
    return simulate(p, v, np.array([40.0, 0.04, 0.012, 0.002, 0.003]), steps)


report = repr
