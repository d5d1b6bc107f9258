"""Whole small programs: particles, graphs, triangles, images."""

from __future__ import annotations

import numpy as np
from gpu_conformance import Results, cdiv, normal, poison, program, wide

from sapwood import Tensor, f32, i32, kernel
from sapwood.gpu import atomic_add, barrier, block_dim, block_idx, grid_dim, shared, thread_idx
from sapwood.lang.library import math
from sapwood.lang.ops.atomics import atomic_cas, atomic_load, atomic_min


@kernel
def bodies_kernel(force: Tensor[f32, 2], place: Tensor[f32, 2]) -> None:
    """Gravity of all on all, a tile of bodies in shared memory at a time. (x, y, z, mass)"""
    tile = shared(f32, (64, 4))
    t, n = thread_idx.x, place.shape[0]
    i = block_idx.x * 64 + t
    here = i < n
    x, y, z = f32(0), f32(0), f32(0)
    if here:
        x, y, z = place[i, 0], place[i, 1], place[i, 2]
    fx, fy, fz = f32(0), f32(0), f32(0)
    for first in range(0, n, 64):
        for k in range(4):
            tile[t, k] = place[first + t, k] if first + t < n else f32(0)
        barrier()
        for j in range(64):
            dx, dy, dz = tile[j, 0] - x, tile[j, 1] - y, tile[j, 2] - z
            r = math.rsqrt(dx * dx + dy * dy + dz * dz + 0.01)
            s = tile[j, 3] * r * r * r
            fx += s * dx
            fy += s * dy
            fz += s * dz
        barrier()
    if here:
        force[i, 0] = fx
        force[i, 1] = fy
        force[i, 2] = fz


@program(1, 64, 150, rtol=1e-4)
def n_bodies(run, rng, n) -> Results:
    place, force = normal(rng, n, 4), poison(n, 3)
    run(bodies_kernel, cdiv(n, 64), 64, force, place)
    d = wide(place[None, :, :3]) - wide(place[:, None, :3])
    s = wide(place[:, 3]) / ((d**2).sum(-1) + 0.01) ** 1.5
    yield force, (s[..., None] * d).sum(1)


@kernel
def step_kernel(
    distance: Tensor[i32, 1], changed: Tensor[i32, 1], start: Tensor[i32, 1], edge: Tensor[i32, 1], level: i32
) -> None:
    """Breadth first: those at `level` reach their neighbours."""
    v = block_idx.x * block_dim.x + thread_idx.x
    if v < distance.size and atomic_load(distance.ptr + v, "relaxed") == level:
        for e in range(int(start[v]), int(start[v + 1])):
            w = int(edge[e])
            if atomic_cas(distance.ptr + w, i32(-1), level + 1) == -1:
                atomic_add(changed.ptr, i32(1))


@program(1, 20, 400)
def breadth_first_search(run, rng, n) -> Results:
    near = rng.random((n, n)) < 3 / n
    rows, edge = np.nonzero(near)
    start = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=n)))).astype(np.int32)
    edge = edge.astype(np.int32) if edge.size else np.zeros(1, np.int32)
    distance = np.full(n, -1, np.int32)
    distance[0] = 0
    expected, frontier, level = distance.copy(), np.array([0]), 0
    while frontier.size:
        frontier = np.flatnonzero(near[frontier].any(0) & (expected < 0))
        level += 1
        expected[frontier] = level
    changed = np.ones(1, np.int32)
    for level in range(n):
        changed[0] = 0
        run(step_kernel, cdiv(n, 64), 64, distance, changed, start, edge, level)
        if not changed[0]:
            break
    yield distance, expected


@kernel
def labels_kernel(label: Tensor[i32, 2], image: Tensor[i32, 2], changed: Tensor[i32, 1]) -> None:
    """Connected components: the smallest label of neighbours of the same colour, until nothing changes."""
    y = block_idx.y * block_dim.y + thread_idx.y
    x = block_idx.x * block_dim.x + thread_idx.x
    h, w = image.shape
    if y >= h or x >= w:
        return
    at = label.ptr + (y * w + x)
    least = atomic_load(at)
    if x > 0 and image[y, x - 1] == image[y, x]:
        least = min(least, atomic_load(at - 1))
    if x + 1 < w and image[y, x + 1] == image[y, x]:
        least = min(least, atomic_load(at + 1))
    if y > 0 and image[y - 1, x] == image[y, x]:
        least = min(least, atomic_load(at - w))
    if y + 1 < h and image[y + 1, x] == image[y, x]:
        least = min(least, atomic_load(at + w))
    if atomic_min(at, least) > least:
        atomic_add(changed.ptr, i32(1))


@program(1, 9, 24)
def connected_components(run, rng, n) -> Results:
    image = (rng.random((n, n + 1)) < 0.6).astype(np.int32)
    label = np.arange(n * (n + 1), dtype=np.int32).reshape(n, n + 1)
    expected = label.copy()
    while True:
        p = np.pad(expected, 1, constant_values=2**30)
        c = np.pad(image, 1, constant_values=-1)
        found = expected.copy()
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            view = np.s_[1 + dy : 1 + dy + n, 1 + dx : 2 + dx + n]
            found = np.where(c[view] == image, np.minimum(found, p[view]), found)
        if (found == expected).all():
            break
        expected = found
    changed = np.ones(1, np.int32)
    for _ in range(image.size + 1):
        changed[0] = 0
        run(labels_kernel, (cdiv(n + 1, 8), cdiv(n, 8)), (8, 8), label, image, changed)
        if not changed[0]:
            break
    yield label, expected


@kernel
def cholesky_kernel(a: Tensor[f32, 2]) -> None:
    """In place, lower triangle, by one block: column after column."""
    n, t = a.shape[0], thread_idx.x
    for k in range(n):
        if t == 0:
            a[k, k] = math.sqrt(a[k, k])
        barrier()
        for i in range(k + 1 + t, n, block_dim.x):
            a[i, k] = a[i, k] / a[k, k]
        barrier()
        for i in range(k + 1 + t, n, block_dim.x):
            for j in range(k + 1, i + 1):
                a[i, j] = a[i, j] - a[i, k] * a[j, k]
        barrier()


@program(1, 30, 65, rtol=1e-4)
def cholesky(run, rng, n) -> Results:
    b = wide(normal(rng, n, n))
    matrix = b @ b.T + n * np.eye(n)
    a = matrix.astype(np.float32)
    run(cholesky_kernel, 1, 64, a)
    yield np.tril(a), np.linalg.cholesky(wide(matrix.astype(np.float32)))


@kernel
def polynomial_kernel(out: Tensor[f32, 1], x: Tensor[f32, 1], coefficient: Tensor[f32, 1]) -> None:
    """Horner's rule with the coefficients in shared memory."""
    c = shared(f32, 32)
    degree = coefficient.size
    if thread_idx.x < degree:
        c[thread_idx.x] = coefficient[thread_idx.x]
    barrier()
    for i in range(block_idx.x * block_dim.x + thread_idx.x, x.size, grid_dim.x * block_dim.x):
        value = f32(0)
        for k in range(degree):
            value = value * x[i] + c[k]
        out[i] = value


@program(1, 1000, 20_000)
def polynomial(run, rng, n) -> Results:
    x, coefficient, out = rng.uniform(-1, 1, n).astype(np.float32), normal(rng, 9), poison(n)
    run(polynomial_kernel, 5, 100, out, x, coefficient)
    yield out, np.polyval(wide(coefficient), wide(x))


@kernel
def table_kernel(out: Tensor[i32, 2], a: Tensor[i32, 1], b: Tensor[i32, 1]) -> None:
    """Levenshtein's distance by one block, a diagonal at a time."""
    m, n, t = a.size, b.size, thread_idx.x
    for i in range(t, m + 1, block_dim.x):
        out[i, 0] = i32(i)
    for j in range(t, n + 1, block_dim.x):
        out[0, j] = i32(j)
    barrier()
    for d in range(2, m + n + 1):
        for i in range(max(1, d - n) + t, min(m, d - 1) + 1, block_dim.x):
            j = d - i
            cost = i32(0) if a[i - 1] == b[j - 1] else i32(1)
            out[i, j] = min(out[i - 1, j] + 1, out[i, j - 1] + 1, out[i - 1, j - 1] + cost)
        barrier()


@program(1, 40, 90)
def edit_distance(run, rng, n) -> Results:
    a, b = rng.integers(0, 4, n, np.int32), rng.integers(0, 4, n + 3, np.int32)
    out = poison(n + 1, n + 4, dtype=np.int32)
    run(table_kernel, 1, 32, out, a, b)
    expected = np.zeros_like(out)
    expected[:, 0], expected[0] = np.arange(n + 1), np.arange(n + 4)
    for i in range(1, n + 1):
        for j in range(1, n + 4):
            change = expected[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            expected[i, j] = min(expected[i - 1, j] + 1, expected[i, j - 1] + 1, change)
    yield out, expected
