"""Many routers at one replica, over an engine that does what the test says: who hears what, and who is cut off."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

import pytest
from process_harness import eventually, run
from transport_harness import (
    CONFIG,
    READY,
    SECRET,
    Peer,
    Router,
    add,
    connected,
    scripted_server,
)

from sapwood.cluster.transport import handshake as handshakes
from sapwood.cluster.transport.messages import (
    MAX_ADD_FRAME_BYTES,
    MAX_HANDSHAKE_FRAME_BYTES,
    Challenge,
    Lost,
    Rejected,
    Status,
    Welcome,
)
from sapwood.cluster.transport.server import EngineServer
from sapwood.engine.client import EngineDeadError, EngineDrainingError
from sapwood.engine.kv_events import BlocksStored, KVEventBatch
from sapwood.engine.process.messages import (
    Abort,
    EngineStats,
    KVSnapshot,
    Ping,
    Refused,
    ResetPrefixCache,
    Step,
    TokenDelta,
)


def test_each_router_gets_its_own_deltas_under_its_own_ids() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server, "a") as a, connected(server, "b") as b:
            a.connection.send(add("same"))
            await eventually(lambda: len(engine.added()) == 1)
            b.connection.send(add("same"))
            b.connection.send(add("other"))
            await eventually(lambda: len(engine.added()) == 3)
            first, second, third = engine.added()
            assert len({first, second, third}) == 3
            engine.step({first: 10, third: 30}, num_running=3)
            engine.step({first: 11, second: 20, third: 31}, {first, second, third}, num_running=0)
            await eventually(lambda: a.finished("same") and b.finished("same") and b.finished("other"))
            assert (a.tokens("same"), b.tokens("same"), b.tokens("other")) == ([10, 11], [20], [30, 31])
            assert a.tokens("other") == [] and not a.refused and not b.refused
            assert [len(s.deltas) for s in a.steps if s.deltas] == [1, 1]
            assert server.num_requests == 0 and not engine.busy() and engine.aborted() == []

    run(main())


def test_a_welcome_says_what_a_router_needs() -> None:
    async def main() -> None:
        async with scripted_server() as (server, _), connected(server, replica_id="replica") as router:
            (welcome,) = router.welcomes
            facts = welcome.facts
            assert (facts.replica_id, facts.pool, facts.model) == ("replica", "cpu", "tiny")
            for name in ("dtype", "max_model_len", "block_size", "max_num_seqs", "max_num_batched_tokens"):
                assert getattr(facts, name) == getattr(CONFIG, name)
            assert welcome.ready == router.connection.ready == READY
            assert router.connection.health().ok and router.connection.num_restarts == 0

    run(main())


def test_routers_without_tokens_hear_of_the_engine_all_the_same() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server, "a") as a, connected(server, "b") as b:
            a.connection.send(add("r"))
            await eventually(engine.added)
            (name,) = engine.added()
            for number in range(50):
                engine.step({name: number}, num_running=1, num_steps=number)
            engine.step({name: 50}, {name}, num_steps=50)
            await eventually(lambda: b.connection.stats == EngineStats(num_steps=50))
            await eventually(lambda: a.connection.stats == EngineStats(num_steps=50))
            assert len(a.tokens("r")) == 51 and all(not step.deltas for step in b.steps)
            assert len(b.steps) < 50

    run(main())


def test_an_abort_reaches_the_engine_and_late_tokens_reach_nobody() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server, "a") as a, connected(server, "b") as b:
            for router in (a, b):
                router.connection.send(add("r"))
            await eventually(lambda: len(engine.added()) == 2)
            a.connection.send(Abort(["r", "unknown"]))
            a.connection.send(add("r"))
            await eventually(lambda: len(engine.added()) == 3)
            (old,) = engine.aborted()
            assert old in engine.added()[:2]
            engine.step(dict(zip(engine.added(), (1, 1, 1), strict=True)))
            engine.step({engine.added()[2]: 2}, {engine.added()[2]})
            await eventually(lambda: a.finished("r"))
            assert a.tokens("r") == [1, 2]
            b.connection.send(Abort(["r"]))
            await eventually(lambda: server.num_requests == 0)
            assert engine.num_pings == 1  # for the statistics that no step will bring

    run(main())


def test_refusals_name_their_reason_and_the_router_s_own_id() -> None:
    async def main() -> None:
        async with scripted_server(max_requests=2) as (server, engine), connected(server) as router:
            router.connection.send(add("one"))
            router.connection.send(add("one"))
            router.connection.send(add("two"))
            router.connection.send(add("three"))
            await eventually(lambda: len(router.refused) == 2)
            kinds = {name: refused.kind for name, refused in router.refused.items()}
            assert kinds == {"one": "duplicate", "three": "overloaded"}
            one, two = engine.added()
            engine.on_message(Refused(one, "too_large", "it is too large"))
            await eventually(lambda: router.refused["one"] == Refused("one", "too_large", "it is too large"))
            engine.step({two: 1}, {two})
            await eventually(lambda: router.finished("two"))
            assert server.num_requests == 0

    run(main())


def test_a_router_that_goes_away_has_its_requests_aborted_and_no_others() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server, "stays") as stays:
            async with connected(server, "goes") as goes:
                for router in (stays, goes):
                    router.connection.send(add("r"))
                    router.connection.send(add("s"))
                await eventually(lambda: len(engine.added()) == 4)
            await eventually(lambda: len(engine.aborted()) == 2)
            assert server.num_routers == 1 and server.num_requests == 2
            left = [name for name in engine.added() if name not in engine.aborted()]
            engine.step(dict.fromkeys(left, 7), set(left))
            await eventually(lambda: stays.finished("r") and stays.finished("s"))
            assert goes.steps == [] and goes.lost == []  # it closed the connection itself

    run(main())


def heard(router: Router, count: int) -> bool:
    return sum(len(delta.token_ids) for delta in router.deltas("r")) >= count


def test_a_router_that_does_not_read_is_cut_off_and_harms_nobody() -> None:
    async def main() -> None:
        async with scripted_server(max_buffered_bytes=100_000) as (server, engine), connected(server) as healthy:
            slow = await Peer.open(server.address)
            await slow.shake_hands()
            assert isinstance(await slow.hear(), Welcome)
            slow.writer.transport.pause_reading()
            slow.say(add("r"))
            healthy.connection.send(add("r"))
            await eventually(lambda: len(engine.added()) == 2)
            names = engine.added()
            sent = 0
            while server.num_routers == 2:  # the kernel keeps some megabytes for it
                deltas = [TokenDelta(request_id=name, token_ids=[7] * 10_000) for name in names]
                engine.on_message(Step(1.0, deltas, EngineStats()))
                sent += 10_000
                assert sent < 10**9
                if sent % 20_000 == 0:  # the healthy one keeps up
                    await eventually(partial(heard, healthy, sent))
            (aborted,) = engine.aborted()
            (left,) = set(names) - {aborted}
            engine.step({left: 1}, {left})
            await eventually(lambda: healthy.finished("r"))
            assert sum(len(delta.token_ids) for delta in healthy.deltas("r")) == sent + 1 and healthy.lost == []
            slow.writer.transport.resume_reading()
            await slow.closed()

    run(main())


def test_an_engine_that_dies_is_told_with_the_requests_it_had_and_welcomed_back() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server, "a") as a, connected(server, "b") as b:
            a.connection.send(add("r"))
            a.connection.send(add("s"))
            b.connection.send(add("r"))
            await eventually(lambda: len(engine.added()) == 3)
            engine.die("the engine was killed")
            await eventually(lambda: a.lost and b.lost)
            assert a.lost == [("the engine was killed", ["r", "s"])] and b.lost == [("the engine was killed", ["r"])]
            assert a.connection.ready is None and a.connection.health().state == "dead"
            assert server.num_requests == 0 and not engine.busy()
            with pytest.raises(EngineDeadError, match="the engine was killed; try again"):
                a.connection.send(add("r"))
            late = Router(server.address, "late")
            late.connection.start()
            await eventually(lambda: late.lost)
            assert late.lost == [("the engine is dead", [])] and late.welcomes == []
            engine.come_back()
            for router in (a, b, late):
                await router.connection.wait_ready()
            assert a.connection.num_restarts == 1 and [w.num_restarts for w in a.welcomes] == [0, 1]
            await late.connection.close()
            a.connection.send(add("r"))
            await eventually(lambda: len(engine.added()) == 4)
            engine.step({engine.added()[3]: 9}, {engine.added()[3]})
            await eventually(lambda: a.finished("r"))
            assert a.tokens("r") == [9]

    run(main())


def test_a_request_that_meets_a_dead_engine_is_refused_as_unavailable() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine):
            peer = await Peer.open(server.address)
            await peer.shake_hands()
            assert isinstance(await peer.hear(), Welcome)
            engine.die("gone")
            assert await peer.hear() == Lost("gone", [])
            peer.say(add("r"), Abort(["r"]), ResetPrefixCache(), Ping(5))
            refused, status = await peer.hear(), await peer.hear()
            assert isinstance(refused, Refused) and (refused.request_id, refused.kind) == ("r", "unavailable")
            assert isinstance(status, Status) and (status.number, status.state) == (5, "dead")
            engine.come_back()
            assert isinstance(await peer.hear(), Welcome)
            peer.leave()

    run(main())


def test_draining_refuses_new_requests_and_waits_for_those_that_run() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server) as router:
            peer = await Peer.open(server.address)
            await peer.shake_hands()
            router.connection.send(add("r"))
            await eventually(lambda: len(engine.added()) == 1)
            server.drain()
            server.drain()
            drained = asyncio.create_task(server.drained())
            await eventually(lambda: router.num_drainings)
            assert router.num_drainings == 1 and router.connection.health().state == "draining"
            assert server.health().state == "draining"
            with pytest.raises(EngineDrainingError):
                router.connection.send(add("s"))
            peer.say(add("late"))
            while not isinstance(message := await peer.hear(), Refused):
                pass
            assert (message.request_id, message.kind) == ("late", "draining")
            async with connected(server, "another") as another:
                await eventually(lambda: another.num_drainings)
            (name,) = engine.added()
            engine.step({name: 1})
            await eventually(lambda: router.tokens("r") == [1])
            assert not drained.done()
            engine.step({name: 2}, {name})
            await drained
            await eventually(lambda: router.finished("r"))
            assert router.tokens("r") == [1, 2] and router.lost == []
            peer.leave()

    run(main())


def test_closing_lets_routers_read_what_was_sent_and_says_what_is_lost() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine):
            router = Router(server.address)
            router.connection.start()
            await router.connection.wait_ready()
            router.connection.send(add("r"))
            router.connection.send(add("s"))
            await eventually(lambda: len(engine.added()) == 2)
            first, second = engine.added()
            for number in range(2000):
                engine.step({first: number, second: number}, {first} if number == 1999 else set())
            await server.close()
            await eventually(lambda: len(router.lost) == 2)
            assert router.tokens("r") == list(range(2000)) and router.finished("r")
            assert router.lost[0] == ("the replica was shut down", ["s"]) and router.lost[1][1] is None
            assert router.num_drainings == 1 and engine.ended.is_set()
            await router.connection.close()

    run(main())


# -- strangers -----------------------------------------------------------------------------------------------


def test_a_wrong_secret_is_rejected_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine):
            peer = await Peer.open(server.address)
            await peer.shake_hands_wrongly()
            rejected = await peer.hear()
            assert isinstance(rejected, Rejected) and rejected.kind == "secret"
            await peer.closed()
            assert "does not know the secret" in caplog.text and "127.0.0.1" in caplog.text
            assert SECRET.decode() not in caplog.text
            assert server.num_routers == 0 and engine.sent == []

    with caplog.at_level(logging.WARNING):
        run(main())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x05\0\0\0junk!",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        (MAX_HANDSHAKE_FRAME_BYTES + 1).to_bytes(4, "little"),
        b"\x80\x0f\0\0" + b"\x91" * 3968,
    ],
)
def test_garbage_before_the_handshake_is_rejected(data: bytes) -> None:
    async def main() -> None:
        async with scripted_server() as (server, _), connected(server) as healthy:
            peer = await Peer.open(server.address)
            peer.writer.write(data)
            rejected = await peer.hear()
            assert isinstance(rejected, Rejected) and rejected.kind == "malformed"
            await peer.closed()
            assert server.num_routers == 1 and healthy.lost == []

    run(main())


def test_nothing_but_the_handshake_is_taken_before_it() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine):
            peer = await Peer.open(server.address)
            peer.say(add("r"))
            rejected = await peer.hear()
            assert isinstance(rejected, Rejected) and rejected.kind == "malformed"
            await peer.closed()
            assert engine.sent == []

    run(main())


def test_a_handshake_that_takes_too_long_is_rejected() -> None:
    async def main() -> None:
        async with scripted_server(handshake_seconds=0.05) as (server, _):
            for half in (False, True):
                peer = await Peer.open(server.address)
                if half:
                    peer.say(handshakes.RouterHandshake(SECRET, "r", replica_id=None, kv_events=False).hello)
                while isinstance(heard := await peer.hear(), Challenge):
                    pass
                assert isinstance(heard, Rejected) and heard.kind == "timeout"
                await peer.closed()

    run(main())


def test_a_stranger_that_waits_makes_room_for_a_router() -> None:
    async def main() -> None:
        async with scripted_server(max_handshakes=2, handshake_seconds=600.0) as (server, _):
            strangers = [await Peer.open(server.address) for _ in range(2)]
            await eventually(lambda: len(server._strangers) == 2)
            async with connected(server):
                await strangers[0].closed()
                assert len(server._strangers) == 1
            strangers[1].leave()
            await eventually(lambda: not server._strangers)

    run(main())


def test_a_replica_with_all_its_routers_says_so() -> None:
    async def main() -> None:
        async with scripted_server(max_routers=1) as (server, _), connected(server) as router:
            second = Router(server.address, "second")
            second.connection.start()
            await eventually(lambda: "all it allows" in second.connection.health().detail)
            assert server.num_routers == 1 and router.lost == []
            await router.connection.close()
            await second.connection.wait_ready()  # it has not given up
            await second.connection.close()

    run(main())


# -- routers that misbehave ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"\x05\0\0\0junk!", (MAX_ADD_FRAME_BYTES + 1).to_bytes(4, "little") + b"x", b"\xff\xff\xff\xff"]
)
def test_garbage_after_the_handshake_ends_the_connection_and_its_requests(data: bytes) -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server) as healthy:
            peer = await Peer.open(server.address)
            await peer.shake_hands()
            healthy.connection.send(add("r"))
            peer.say(add("r"))
            await eventually(lambda: len(engine.added()) == 2)
            peer.writer.write(data)
            await peer.closed()
            await eventually(lambda: len(engine.aborted()) == 1)
            (left,) = set(engine.added()) - set(engine.aborted())
            engine.step({left: 3}, {left})
            await eventually(lambda: healthy.finished("r"))

    run(main())


def test_a_request_that_cannot_be_read_is_refused_by_its_name() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine):
            peer = await Peer.open(server.address)
            await peer.shake_hands()
            peer.say({"type": "add", "request_id": "r7", "prompt_token_ids": "no tokens"}, Ping(1))
            assert isinstance(await peer.hear(), Welcome)
            refused, status = await peer.hear(), await peer.hear()
            assert isinstance(refused, Refused) and (refused.request_id, refused.kind) == ("r7", "invalid")
            assert isinstance(status, Status) and engine.sent == []
            peer.leave()

    run(main())


def test_a_half_open_connection_is_found_and_its_requests_aborted() -> None:
    async def main() -> None:
        async with scripted_server(silence_seconds=0.4) as (server, engine):
            peer = await Peer.open(server.address)
            await peer.shake_hands()
            peer.say(add("r"))
            await eventually(engine.added)
            await peer.closed()  # it says nothing more, and that is what ends it
            assert engine.aborted() == engine.added() and server.num_routers == 0

    run(main())


def test_names_and_secrets_are_checked_where_they_are_given() -> None:
    async def main() -> None:
        values = {"secret": SECRET, "replica_id": "r", "pool": "p", "model": "m"}
        for name, value, text in [
            ("secret", b"short", "at least 16 bytes"),
            ("replica_id", "two words", "replica_id is 'two words'"),
        ]:
            with pytest.raises(ValueError, match=text):
                EngineServer(CONFIG, **(values | {name: value}))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="router_id is ''"):
            Router(("127.0.0.1", 1), "")

    run(main())


def test_events_of_the_cache_reach_at_once_every_router_that_asked_and_no_other() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server, "a", kv_events=True) as a:
            async with connected(server, "b", kv_events=True) as b, connected(server, "c") as c:
                for router in (a, c):
                    router.connection.send(add("r"))
                b.connection.send(KVSnapshot())
                await eventually(lambda: len(engine.added()) == 2 and KVSnapshot() in engine.sent)
                batches = [KVEventBatch(number, [BlocksStored([bytes([number])])]) for number in range(20)]
                for batch in batches:
                    deltas = [TokenDelta(request_id=name, token_ids=[1]) for name in engine.added()]
                    engine.on_message(Step(1.0, deltas, EngineStats(), batch))
                engine.step(dict.fromkeys(engine.added(), 2), set(engine.added()), num_running=4)
                await eventually(lambda: a.finished("r") and c.finished("r"))
                await eventually(lambda: len(b.steps) > 20)
                for router in (a, b):
                    assert [s.kv_events for s in router.steps if s.kv_events] == batches
                assert all(s.kv_events is None for s in c.steps) and len(c.tokens("r")) == 21
                assert a.steps[20] == Step(1.0, a.steps[20].deltas, EngineStats(num_running=4))

    run(main())
