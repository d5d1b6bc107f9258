"""Arrays of devices and launches on them: on the CPU, and through the CUDA layer to a driver that runs them on simt."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood import Array, Tensor, bf16, config, f16, f32, f64, fn, gpu, i8, i32, i64, kernel, struct, u8, u32, u64
from sapwood.gpu import (
    algorithms,
    block_dim,
    block_idx,
    cluster_sync,
    dynamic_shared,
    grid_sync,
    mbarrier,
    shared,
    tensor_copy,
    thread_idx,
)  # fmt: skip
from sapwood.lang.devices.simt import simt_device

DTYPES = ("f32", "f64", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "bool", "f16")


@pytest.fixture(params=["simt", "cuda"])
def device(request, fake_cuda):
    if request.param == "cuda":
        fake_cuda()
    return gpu.device(request.param)


@kernel
def axpy(y: Tensor[f32, 1], x: Tensor[f32, 1], a: f32):
    i = block_idx.x * block_dim.x + thread_idx.x
    if i < len(y):
        y[i] += a * x[i]


@struct(frozen=True)
class Scaling:
    factor: f64
    shift: i32


@kernel
def many(out: Tensor[f64, 1], s: Scaling, pair: tuple[i64, f32], b: bool, small: i8, byte: u8, half: f16, other: bf16,
         whole: u32, *rest: i64):  # fmt: skip
    out[0] = s.factor
    out[1] = s.shift
    out[2] = pair[0]
    out[3] = pair[1]
    out[4] = 1.0 if b else 0.0
    out[5] = small
    out[6] = byte
    out[7] = f64(half)
    out[8] = f64(other)
    out[9] = whole
    for n in rest:
        out[10] += n


@kernel
def of_rank_two(out: Tensor[f32, 2], x: Tensor[f32, 2]):
    for i in range(thread_idx.x, x.shape[0], block_dim.x):
        for j in range(x.shape[1]):
            out[i, j] = 2.0 * x[i, j]


@fn
def first(x: Tensor[f32, 1]) -> f32:
    return x[0]


@pytest.mark.parametrize("n", [0, 1, 33, 1000])
def test_a_kernel_runs_on_the_device_of_its_arrays(device, n):
    x = np.arange(n, dtype=np.float32)
    y = device.array(np.ones(n, np.float32))
    axpy[max(1, -(-n // 128)), 128](y, device.array(x), 3.0)
    axpy[max(1, -(-n // 128)), 128](y, device.array(x), 1)  # an int is a number, too
    np.testing.assert_array_equal(y.numpy(), 1 + 4 * x)


def test_arguments_of_every_kind(device):
    out = device.zeros(11, "f64")
    many[1, 1](out, Scaling(0.5, -7), (2**40, 1.5), True, -128, 255, 0.25, -3.0, 2**32 - 1, 1, 2, 3)
    assert out.tolist() == [0.5, -7, 2**40, 1.5, 1, -128, 255, 0.25, -3, 2**32 - 1, 6]


def test_views_reach_a_kernel_with_their_strides(device):
    x = np.arange(60, dtype=np.float32).reshape(6, 10)
    there, out = device.array(x), device.zeros((3, 3), "f32")
    for view in (x[::2, 1::3], x[::-2, ::-4]):
        same = there[::2, 1::3] if view.strides[1] > 0 else there[::-2, ::-4]
        out.fill(float("nan"))
        of_rank_two[1, 2](out, same)
        np.testing.assert_array_equal(out.numpy(), 2 * view)
        out.fill(0.0)
        of_rank_two[1, 2](same, out)  # and writes through one
        assert not same.numpy().any()
        same.copy_from(view)
    np.testing.assert_array_equal(there.numpy(), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_go_there_and_back(device, dtype):
    a = device.zeros((3, 5), dtype)
    assert (a.shape, a.strides, a.ndim, a.size, a.dtype.name, a.device) == ((3, 5), (5, 1), 2, 15, dtype, device)
    x = np.arange(15).reshape(3, 5).astype(a.numpy().dtype)
    assert not a.numpy().any()
    np.testing.assert_array_equal(a.copy_from(x).numpy(), x)
    np.testing.assert_array_equal(device.array(a).numpy(), x)
    assert a[2, 4] == x[2, 4] and a[1].tolist() == x[1].tolist() and len(a) == 3
    a[1, 2:4] = 1
    x[1, 2:4] = 1
    np.testing.assert_array_equal(a.copy().numpy(), x)
    np.testing.assert_array_equal(a.reshape(5, 3)[:, 1].numpy(), x.reshape(5, 3)[:, 1])


def test_bf16_goes_through_arrays_of_ours(device):
    x = Array.zeros(3, "bf16")
    x[0], x[2] = 1.5, -2.0
    assert device.array(x).array().tolist() == [1.5, 0.0, -2.0]
    assert device.array(x).fill(0.5).numpy(bits=True).tolist() == [0x3F00] * 3


def _slices(n):
    return st.one_of(
        st.builds(slice, st.integers(0, n), st.integers(0, n), st.sampled_from([1, 2, 3, -1, -2])),
        st.integers(0, n - 1), st.just(slice(None)),
    )  # fmt: skip


@given(st.data())
def test_copies_between_views_are_numpys(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    x = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    key = tuple(data.draw(_slices(n)) for n in shape)
    here, there = x.copy(), simt_device().array(x)
    if np.ndim(x[key]):
        source = np.arange(x[key].size, dtype=np.int32).reshape(x[key].shape) - 100
        for value in (source, source[tuple(slice(None, None, -1) for _ in source.shape)]):
            here[key] = value
            there[key] = value
            np.testing.assert_array_equal(there.numpy(), here)
        there[key] = simt_device().array(source)
        here[key] = source
    np.testing.assert_array_equal(there[key] if not np.ndim(x[key]) else there[key].numpy(), here[key])
    np.testing.assert_array_equal(there.numpy(), here)


def test_a_copy_into_itself_is_as_numpys(device):
    x = np.arange(10, dtype=np.int32)
    a = device.array(x)
    a[1:].copy_from(a[:-1])
    x[1:] = x[:-1].copy()
    np.testing.assert_array_equal(a.numpy(), x)
    b = device.array(np.arange(12, dtype=np.int32).reshape(4, 3))
    b[1:, ::2].copy_from(b[:-1, ::2])
    assert b.tolist() == [[0, 1, 2], [0, 4, 2], [3, 7, 5], [6, 10, 8]]


@pytest.mark.parametrize(
    ("do", "error", "text"),
    [
        (lambda d: d.zeros(3, "f32").copy_from(np.zeros(4, np.float32)), ValueError, r"f32\[4\] into f32\[3\]"),
        (lambda d: d.zeros(3, "f32").copy_from(np.zeros(3)), ValueError, r"cannot copy f64\[3\] into f32\[3\]"),
        (lambda d: d.empty((2, -1), "f32"), ValueError, "is not a size"),
        (lambda d: d.empty(3, "f31"), (TypeError, ValueError), "f31"),
        (lambda d: d.zeros(3, "f32")[3], IndexError, "out of bounds"),
        (lambda d: np.asarray(d.zeros(3, "f32")), TypeError, r"x\.numpy\(\) copies it to the host"),
        (lambda d: d.array(["a"]), (TypeError, ValueError), "dtype"),
    ],
)  # fmt: skip
def test_what_arrays_refuse(device, do, error, text):
    with pytest.raises(error, match=text):
        do(device)


def test_streams_events_and_graphs(device):
    stream = device.stream()
    x, y = device.array(np.ones(4, np.float32)), device.zeros(4, "f32")
    launch = axpy.launch(grid=1, block=4, stream=stream)
    with stream.capture() as graph:
        launch(y, x, 2.0)
        x.copy_from(y, stream=stream)
    assert y.tolist() == [0] * 4
    begin = stream.record()
    for n in (2, 6, 18):  # y += 2 x; x = y
        graph.launch(stream)
        stream.synchronize()
        assert y.tolist() == [n] * 4 == x.tolist()
    end = stream.record()
    end.synchronize()
    stream.wait(end)
    assert begin.elapsed(end) > 0 and end.done() and stream.done()
    with pytest.raises(ValueError, match="not whole"), stream.capture() as other:
        other.launch()


@fn
def plus(a, b):
    return a + b


def test_algorithms_run_where_their_arrays_are(device):
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal(1000).astype(np.float32), rng.integers(-50, 50, 1000).astype(np.int32)
    there, ints = device.array(x), device.array(y)
    out, sums, counts = device.empty(1000, "f32"), device.empty(1000, "i32"), device.zeros(100, "i32")
    algorithms.elementwise(lambda a, b: a * 2 + b, out, there, 1.0)
    np.testing.assert_array_equal(out.numpy(), x * 2 + 1)
    assert algorithms.reduce(plus, ints, 7) == y.sum() + 7
    algorithms.scan(plus, sums, ints)
    np.testing.assert_array_equal(sums.numpy(), np.cumsum(y))
    algorithms.histogram(counts, ints, -50.0, 50.0)
    np.testing.assert_array_equal(counts.numpy(), np.histogram(y, 100, (-50, 50))[0])
    algorithms.sort(there, ints)
    order = np.argsort(x, kind="stable")
    np.testing.assert_array_equal(there.numpy(), x[order])
    np.testing.assert_array_equal(ints.numpy(), y[order])


# -- CUDA alone -------------------------------------------------------------------------------------


@kernel
def checks(x: Tensor[i32, 1], n: i32):
    if n < 0:
        raise ValueError("n is negative")
    if n == 1000:
        assert x[0] == 1, "the first is one"
    x[n] = 10 // n


def test_what_a_kernel_raises_comes_when_somebody_waits(fake_cuda):
    fake_cuda()
    device = gpu.device("cuda")
    x = device.zeros(4, "i32")
    for n, error, text in (
        (4, IndexError, "index 4 is out of bounds for axis 0 with size 4"),
        (0, ZeroDivisionError, "integer division or modulo by zero"),
        (-1, ValueError, "n is negative"),
        (1000, AssertionError, "the first is one"),
    ):
        checks[1, 1](x, n)
        checks[1, 1](x, -1)  # the first one counts
        with pytest.raises(error, match=text) as e:
            device.synchronize()
        assert e.value.__notes__ == ["raised on cuda:0 by thread (4, 5, 6) of block (1, 2, 3)"]
        assert e.traceback[-1].name == "checks" and e.traceback[-1].path.name == "test_devices.py"
        device.synchronize()  # it is raised once, and the device goes on
    checks[1, 1](x, 4)
    with pytest.raises(IndexError):
        x.numpy()
    checks[1, 1](x, 2)
    assert x.tolist() == [0, 0, 5, 0]


def test_arrays_that_a_launch_cannot_take(fake_cuda):
    fake = fake_cuda(devices=2)
    here, there, host = gpu.device("cuda:0"), gpu.device("cuda:1"), np.ones(4, np.float32)
    x, y = here.array(host), there.array(host)
    with pytest.raises(TypeError, match=r"(?s)x.*of the host; gpu.device\('cuda:0'\).array\(x\) copies it"):
        axpy[1, 4](x, host, 1.0)
    with pytest.raises(ValueError, match=r"L013.*arrays of two devices, cuda:0 and cuda:1"):
        axpy[1, 4](x, y, 1.0)
    with pytest.raises(ValueError, match=r"L013"):
        axpy[1, 4](x, simt_device().array(host), 1.0)
    with pytest.raises(TypeError, match=r"(?s)x.*in the memory of cuda:0; x.numpy\(\) copies it to the host"):
        first(x)
    assert first(simt_device().array(host)) == 1.0
    with config.override(SAPWOOD_TARGET="nvptx"), pytest.raises(TypeError, match="in the memory of the host"):
        axpy[1, 4](host, host, 1.0)
    with pytest.raises(TypeError, match=r"pass an array with 1 axis"):
        axpy[1, 4](x.reshape(2, 2), x, 1.0)
    with pytest.raises(TypeError, match="convert it"):
        axpy[1, 4](here.zeros(4, "f64"), x, 1.0)
    assert not fake.launches and fake.contexts == []
    z = there.array(host)
    axpy[1, 4](z, y, 1.0)
    assert z.tolist() == [2.0] * 4 and fake.contexts == []


def test_a_read_only_array_is_not_written(fake_cuda):
    from sapwood.runtime import device_array

    fake_cuda()
    device = gpu.device("cuda")
    x = device.array(np.ones(4, np.float32))
    locked = device_array.at(device, x.data_ptr, 4, "f32", owner=x.owner, readonly=True)
    with pytest.raises(ValueError, match=r"A002.*argument 'y' is written to, but the array is read-only"):
        axpy[1, 4](locked, x, 1.0)
    with pytest.raises(ValueError, match="read-only"):
        locked.copy_from(x)
    axpy[1, 4](x, locked, 1.0)
    assert x.tolist() == [2.0] * 4


def test_what_a_launch_says_reaches_the_driver(fake_cuda):
    fake = fake_cuda()
    device = gpu.device("cuda")
    x = device.zeros(64, "f32")
    stream = device.stream()
    together.launch(grid=4, block=16, cluster=2, shared=64, cooperative=True, stream=stream)(x)
    device.synchronize()
    assert x.tolist() == [1.0] * 64
    together.launch(grid=(4, 1, 1), block=(16, 1), cluster=(2, 1))(x, alone=True)
    first, second = fake.launches
    assert second == {"grid": (4, 1, 1), "block": (16, 1, 1), "shared": 0, "stream": 0, "cluster": (2, 1, 1),
                      "kernel": "together"}  # fmt: skip
    assert first == second | {"shared": 64, "stream": stream.handle, "cooperative": 1}
    assert fake.contexts == []


@kernel
def together(x: Tensor[f32, 1], alone: bool = False):
    i = block_idx.x * block_dim.x + thread_idx.x
    if not alone:
        tile = dynamic_shared(f32)
        tile[thread_idx.x] = 1.0
        cluster_sync()
        grid_sync()
        x[i] = tile[thread_idx.x]


@kernel
def box_sum(out: Tensor[f16, 1], x: Tensor[f16, 3]):
    tile, bar = shared(f16, (2, 4, 8), align=128), shared(u64, 1)
    if thread_idx.x == 0:
        mbarrier.init(bar.ptr, 1)
        mbarrier.arrive_expect_tx(bar.ptr, 128)
        tensor_copy(tile, x, (1, -1, 4), bar.ptr, 64)
    mbarrier.wait(bar.ptr, 0)
    for k in range(64):
        out[0] += (tile.ptr + k)[0]


def test_a_launch_makes_tensor_maps(fake_cuda):
    fake = fake_cuda()
    device = gpu.device("cuda")
    out, x = device.zeros(1, "f16"), device.array(np.ones((3, 5, 16), np.float16))
    box_sum[1, 1](out, x[:, :, :10])
    assert out.tolist() == [2 * 3 * 6]
    f16_, swizzle_64 = 6, 2  # CU_TENSOR_MAP_DATA_TYPE_FLOAT16, CU_TENSOR_MAP_SWIZZLE_64B
    assert fake.launches[-1]["maps"] == [[f16_, [10, 5, 3], [32, 160], [8, 4, 2], swizzle_64]]
    box_sum[1, 1](out, device.array(np.ones((1, 1, 5), np.float16)))  # strides of axes of one element mean nothing
    assert fake.launches[-1]["maps"] == [[f16_, [5, 1, 1], [16, 16], [8, 4, 2], swizzle_64]]
    for wrong in (x[:, :, 1:], device.zeros((3, 5, 10), "f16"), x[:, :, ::2]):
        with pytest.raises(ValueError, match=r"L015.*cannot be launched so on cuda:0: a tensor of tensor_copy"):
            box_sum[1, 1](out, wrong)


def test_launches_that_the_device_cannot_run(fake_cuda):
    fake = fake_cuda()
    device = gpu.device("cuda")
    x = device.zeros(64, "f32")
    axpy[1, 64](x, x, 1.0)
    fake.max_threads = 32
    others = together.launch(grid=2, block=64)
    with pytest.raises(ValueError, match=r"L014.*'together' takes 40 registers.*at most 32 thr.*not 64"):
        others(x, alone=True)
    with pytest.raises(ValueError, match=r"L011.*301024 bytes of shared memory, 1024 that it declares and 300000"):
        together.launch(grid=1, block=16, shared=300_000)(x, alone=True)
    fake.fails["cuLaunchKernelEx"] = 720
    with pytest.raises(ValueError, match=r"L015.*1024 blocks of 16 threads cannot run at one time"):
        together.launch(grid=1024, block=16, cooperative=True)(x)
    fake.fails["cuLaunchKernelEx"] = 999
    with pytest.raises(gpu.CudaError, match=r"launching kernel 'together' with grid \(1, 1, 1\)"):
        together[1, 16](x, True)


def test_errors_of_the_driver_are_exceptions(fake_cuda):
    fake = fake_cuda()
    device = gpu.device("cuda")
    with pytest.raises(MemoryError, match=r"taking 8589934592 bytes on cuda:0: out of memory \(CUDA_ERR.* 2\)"):
        device.empty(1 << 31, "f32")
    x = device.zeros(4, "f32")
    axpy[1, 4](x, x, 1.0)
    fake.sticky = 700
    with pytest.raises(gpu.CudaError, match="an illegal memory access was encountered") as e:
        device.synchronize()
    assert e.value.code == 700 and e.value.name == "CUDA_ERROR_ILLEGAL_ADDRESS"
    assert "kernels launched last, the newest first: axpy" in str(e.value) and "simt:checked" in str(e.value)
    with pytest.raises(gpu.CudaError):
        x.numpy()


def test_ptx_that_the_driver_refuses(fake_cuda, monkeypatch):
    from sapwood.targets import codegen

    fake_cuda()
    monkeypatch.setattr(codegen, "emit_assembly", lambda text, target: "no code")
    x = gpu.device("cuda").zeros(4, "i32")
    with config.override(SAPWOOD_CACHE="0"):
        with pytest.raises(gpu.CudaError, match=r"assembling kernel 'checks'.*\nptxas fatal: no PTX"):
            checks[1, 1](x, 1)


def test_ptx_that_the_driver_does_not_link_but_loads(fake_cuda):
    fake = fake_cuda()
    fake.fails["cuLinkComplete"] = 999
    device = gpu.device("cuda")
    x = device.zeros(4, "f32")
    with config.override(SAPWOOD_CACHE="0"):
        axpy[1, 4](x, x, 1.0)
    assert fake.launches and fake.calls["cuModuleLoadData"] == 1


def test_code_comes_from_the_cache(fake_cuda):
    for calls in (None, 0):  # of another driver and its devices, as in another process
        fake = fake_cuda()
        device = gpu.device("cuda")
        axpy[1, 4](device.zeros(4, "f32"), device.zeros(4, "f32"), 1.0)
        axpy[2, 4](device.zeros(4, "f32"), device.zeros(4, "f32"), 1.0)
        assert fake.calls["cuModuleLoadData"] == 1
        assert calls is None or fake.calls["cuLinkCreate_v2"] == calls


def test_memory_goes_back(fake_cuda):
    fake = fake_cuda()
    device = gpu.device("cuda")
    device.record
    before = len(fake.memory)
    x = device.zeros(100, "f32")
    view = x[10:20]
    del x
    gc.collect()
    assert len(fake.memory) == before + 1  # a view keeps it
    host = device.host_array((2, 3), "f32")
    host[0, 1] = 5.0
    assert device.array(host)[0, 1] == 5.0
    del view, host
    gc.collect()
    assert len(fake.memory) == before


@struct(frozen=True)
class Factor:
    values: Tensor[f32, 1]
    scale: f32


@kernel
def add_parts(y, parts):
    i = thread_idx.x
    x, factor = parts
    y[i] += x[i] + factor.scale * factor.values[i]


class Foreign:
    """A stream as PyTorch's are."""

    cuda_stream = 4242


@pytest.mark.parametrize("nested", [False, True])
def test_memory_that_a_foreign_stream_uses_waits_for_it(fake_cuda, nested):
    fake = fake_cuda()
    device = gpu.device("cuda")
    x, y, z = (device.array(np.ones(4, np.float32)) for _ in range(3))
    if nested:
        add_parts.launch(grid=1, block=4, stream=Foreign())(y, (x[:], Factor(z, 2.0)))
    else:
        axpy.launch(grid=1, block=4, stream=Foreign())(y, x, 3.0)
    assert fake.launches[-1]["stream"] == 4242
    assert y.tolist() == [4.0] * 4
    waits = fake.calls["cuStreamWaitEvent"]
    del x
    gc.collect()
    assert fake.calls["cuStreamWaitEvent"] == waits + 1
    del z
    gc.collect()
    assert fake.calls["cuStreamWaitEvent"] == waits + 1 + nested


@pytest.mark.parametrize("rows", [False, True])
def test_memory_that_is_copied_on_a_foreign_stream_waits_for_it(fake_cuda, rows):
    fake = fake_cuda()
    device = gpu.device("cuda")
    x, y, z = (device.array(np.ones((4, 4), np.float32)) for _ in range(3))
    part = (slice(None), slice(0, 2)) if rows else (slice(None),)
    waits = fake.calls["cuStreamWaitEvent"]
    y[part].copy_from(x[part], stream=Foreign())
    z[part].copy_from(np.zeros((4, 2 if rows else 4), np.float32), stream=Foreign())
    z[part].copy_from(y[part], stream=device.stream())
    gc.collect()
    assert fake.calls["cuStreamWaitEvent"] == waits + rows  # of what was copied in one piece, before its rows
    del x
    gc.collect()
    assert fake.calls["cuStreamWaitEvent"] == waits + rows + 1
    del y, z
    gc.collect()
    assert fake.calls["cuStreamWaitEvent"] == waits + rows + 3


def test_whether_work_is_done(fake_cuda):
    fake = fake_cuda()
    stream = gpu.device("cuda").stream()
    event = stream.record()
    assert stream.done() and event.done()
    for name, x in (("cuStreamQuery", stream), ("cuEventQuery", event)):
        fake.fails[name] = 600  # CUDA_ERROR_NOT_READY
        assert not x.done()
        fake.fails[name] = 700
        with pytest.raises(gpu.CudaError, match="asking whether work is done"):
            x.done()


def test_what_cannot_be_while_a_graph_is_captured(fake_cuda):
    fake = fake_cuda()
    device = gpu.device("cuda")
    stream, x = device.stream(), device.array(np.ones(4, np.float32))
    spare = device.zeros(4, "f32")
    axpy[1, 4](x, x, 1.0)
    there = len(fake.memory)
    with stream.capture() as graph:
        with pytest.raises(RuntimeError, match="arrays cannot be made while a graph is captured"):
            device.zeros(4, "f32")
        axpy.launch(grid=1, block=4, stream=stream)(x, x, 1.0)
        del spare
        gc.collect()
        assert len(fake.memory) == there  # not yet
    assert len(fake.memory) == there - 1
    assert x.tolist() == [2.0] * 4
    graph.launch()
    assert x.tolist() == [4.0] * 4
    with pytest.raises(KeyError), stream.capture() as failed:
        raise KeyError
    with pytest.raises(ValueError, match="not whole"):
        failed.launch()
    device.zeros(4, "f32")


def test_dlpack_with_a_device(fake_cuda):
    fake = fake_cuda(devices=2)
    device = gpu.device("cuda:1")
    x = device.array(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert x.__dlpack_device__() == (2, 1)

    class Foreign:  # another library's array
        dtype, ndim, shape = np.dtype(np.float32), 2, (3, 2)

        def __dlpack_device__(self):
            return (2, 1)

        def __dlpack__(self, stream=None, **options):
            assert stream == 1  # the default stream
            return x[:, ::2].__dlpack__()

    view = device.from_dlpack(Foreign())
    assert view.data_ptr == x.data_ptr and view.strides == (4, 2)
    out = device.zeros((3, 2), "f32")
    of_rank_two[1, 2](out, Foreign())  # and as an argument
    assert out.tolist() == [[0, 4], [8, 12], [16, 20]]
    with pytest.raises(TypeError, match="on cuda:1, not on cuda:0"):
        gpu.device("cuda:0").from_dlpack(Foreign())
    with pytest.raises(TypeError, match=r"in the memory of cuda:1|on device"):
        first(Foreign())
    waits = fake.calls["cuStreamWaitEvent"]
    for stream, more in ((None, 0), (1, 0), (99, 1)):  # another stream than the default one waits for it
        assert x.__dlpack__(stream=stream) is not None
        assert fake.calls["cuStreamWaitEvent"] == waits + more
    assert x.__cuda_array_interface__["data"] == (x.data_ptr, False)
    assert x[:, 1:].__cuda_array_interface__["strides"] == (16, 4)
    assert not hasattr(simt_device().zeros(3), "__cuda_array_interface__")


def test_names_of_devices(fake_cuda):
    fake_cuda(devices=2, capability=(8, 6))
    assert [d.name for d in gpu.devices()] == ["cuda:0", "cuda:1", "simt"]
    assert gpu.device() is gpu.device("cuda") is gpu.device("cuda:0")
    assert gpu.device("cuda:1").architecture == "sm_86" and "Fake GPU, sm_86" in repr(gpu.device("cuda:1"))
    with config.override(SAPWOOD_TARGET="simt"):
        assert gpu.device() is gpu.device("simt")
    with pytest.raises(gpu.NoCuda, match="no device cuda:2; the driver knows 2"):
        gpu.device("cuda:2")
    for name in ("cuda:", "cuda:x", "gpu", "simt:checked", "rocm:0"):
        with pytest.raises(ValueError, match="is no device"):
            gpu.device(name)


@pytest.mark.parametrize(
    ("capability", "architecture"),
    [((7, 5), "sm_75"), ((8, 0), "sm_80"), ((8, 7), "sm_86"), ((9, 0), "sm_90a"), ((10, 0), "sm_100a"),
     ((10, 3), "sm_100"), ((12, 0), "sm_120a"), ((12, 1), "sm_120"), ((13, 0), "sm_120")],
)  # fmt: skip
def test_code_that_a_device_runs(fake_cuda, capability, architecture):
    fake_cuda(capability=capability)
    assert gpu.device("cuda").target.cpu == architecture


def test_a_device_that_is_too_old(fake_cuda):
    fake_cuda(capability=(7, 0))
    device = gpu.device("cuda")
    x = device.zeros(4, "f32")
    with pytest.raises(gpu.NoCuda, match=r"compute capability 7.0; 7.5 is the oldest"):
        axpy[1, 4](x, x, 1.0)


def test_code_for_an_older_device_when_asked(fake_cuda):
    fake_cuda(capability=(9, 0))
    device = gpu.device("cuda")
    x = device.array(np.ones(4, np.float32))
    with config.override(SAPWOOD_TARGET="nvptx:sm_80"):
        assert device.target_now.cpu == "sm_80"
        axpy[1, 4](x, x, 1.0)
    assert x.tolist() == [2.0] * 4
    with config.override(SAPWOOD_TARGET="nvptx:sm_120"), pytest.raises(gpu.NoCuda, match="does not run on"):
        of_rank_two[1, 4](x.reshape(2, 2), x.reshape(2, 2))


def test_without_a_driver(fake_cuda, monkeypatch):
    from sapwood.targets.nvptx.driver import library

    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    library.use(None)
    monkeypatch.setattr(library.ctypes, "CDLL", missing)
    assert gpu.devices() == [gpu.device("simt")] and gpu.device() is gpu.device("simt")
    for _ in range(2):
        with pytest.raises(gpu.NoCuda, match=r"no CUDA driver: libcuda.so.1: cannot open"):
            gpu.device("cuda")
    with config.override(SAPWOOD_TARGET="nvptx"), pytest.raises(gpu.NoCuda):
        axpy[1, 4](np.ones(4, np.float32), np.ones(4, np.float32), 1.0)


def test_pools_are_no_condition(fake_cuda):
    fake = fake_cuda(pools=False)
    x = gpu.device("cuda").zeros(4, "f32")
    del x
    assert fake.calls["cuMemAlloc_v2"] == 1 == fake.calls["cuMemFree_v2"] and not fake.calls["cuMemAllocAsync"]
