"""The router's end: connecting again, replicas that are not what they should be, clocks; and real engine processes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from engine_fakes import write_model
from fake_worker import KILL, SLOW
from process_harness import eventually, run
from transport_harness import (
    READY,
    ROUTER,
    SECRET,
    Router,
    add,
    connected,
    fake_server,
    scripted_server,
)

from sapwood.cluster.transport.clock import RemoteClock
from sapwood.cluster.transport.connection import ConnectionLimits
from sapwood.cluster.transport.handshake import ReplicaHandshake
from sapwood.cluster.transport.messages import HandshakeToReplica, Status, ToReplica, Welcome
from sapwood.engine.client import EngineDeadError
from sapwood.engine.process.framing import FrameReader, MessageError, encode_frame
from sapwood.engine.process.messages import Abort, Add, EngineStats, Ping, Refused, Step, TokenDelta
from sapwood.engine.sampling_params import SamplingParams


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


class Replica:
    """A listener that says what a test wants, to one router after the other."""

    def __init__(self) -> None:
        self.num_connections = 0
        self.writer: asyncio.StreamWriter | None = None
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.script: Any = None

    async def __aenter__(self) -> Replica:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        if self.writer is not None:
            self.writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_connections += 1
        self.writer = writer
        frames: FrameReader[Any] = FrameReader(HandshakeToReplica | ToReplica)
        try:
            while data := await reader.read(1 << 16):
                for message in frames.feed(data):
                    await self.script(self, message)
        except ConnectionError:
            pass
        writer.transport.abort()

    def say(self, *messages: object) -> None:
        assert self.writer is not None
        self.writer.write(b"".join(map(encode_frame, messages)))


def honest(welcome: Welcome, clock: float | None = None, secret: bytes = SECRET) -> Any:
    """A script: shake hands, say Welcome, answer Pings by a clock, keep the rest."""
    handshakes: dict[int, ReplicaHandshake] = {}

    async def script(replica: Replica, message: Any) -> None:
        shaking = handshakes.setdefault(replica.num_connections, ReplicaHandshake(secret, "replica"))
        if isinstance(message, HandshakeToReplica):
            replica.say(shaking.receive(message))
            if shaking.accepted is not None:
                replica.say(welcome)
        elif isinstance(message, Ping):
            if clock is not None:
                values = {"stats": EngineStats(), "state": "ok", "detail": ""}
                replica.say(Status(number=message.number, at=clock, **values))
        else:
            replica.heard.put_nowait(message)

    return script


async def a_welcome() -> Welcome:
    async with scripted_server() as (server, _), connected(server) as router:
        return router.welcomes[0]


# -- real engine processes -----------------------------------------------------------------------------------


def test_two_routers_with_equal_ids_get_the_same_text_as_one(model: Path) -> None:
    async def main() -> None:
        async with fake_server(model) as server, connected(server, "a") as a, connected(server, "b") as b:
            for router, prompts in ((a, ([5], [6, 7])), (b, ([6, 7], [5]))):
                for number, prompt in enumerate(prompts):
                    router.connection.send(add(str(number), prompt))
            for router in (a, b):
                for name in ("0", "1"):
                    await eventually(lambda router=router, name=name: router.finished(name))
            assert a.tokens("0") == b.tokens("1") and a.tokens("1") == b.tokens("0")
            assert len(a.tokens("0")) == len(a.tokens("1")) == 8 and a.tokens("0") != a.tokens("1")

    run(main())


def test_a_router_that_leaves_frees_what_it_held(model: Path) -> None:
    async def main() -> None:
        async with fake_server(model) as server, connected(server, "stays") as stays:
            async with connected(server, "goes") as goes:
                for router in (stays, goes):
                    router.connection.send(add("r", [5, SLOW], max_tokens=50))
                await eventually(lambda: goes.tokens("r") and stays.tokens("r"))
            await eventually(lambda: server.num_requests == 1)
            await eventually(lambda: stays.finished("r"))
            assert len(stays.tokens("r")) == 50

    run(main())


def test_a_killed_engine_is_told_to_both_and_serves_both_again(model: Path) -> None:
    async def main() -> None:
        async with fake_server(model) as server, connected(server, "a") as a, connected(server, "b") as b:
            a.connection.send(add("r", [5, SLOW], max_tokens=50))
            b.connection.send(add("r", [6, SLOW], max_tokens=50))
            await eventually(lambda: a.tokens("r") and b.tokens("r"))
            old = a.welcomes[0].ready.pid
            os.kill(old, signal.SIGKILL)
            await eventually(lambda: len(a.welcomes) == 2 and len(b.welcomes) == 2)
            for router in (a, b):
                ((reason, ids),) = router.lost
                assert ids == ["r"] and "killed by SIGKILL" in reason and router.connection.num_restarts == 1
                assert not router.finished("r") and router.welcomes[1].ready.pid != old
                router.connection.send(add("again"))
            await eventually(lambda: a.finished("again") and b.finished("again"))
            assert a.tokens("again") == b.tokens("again") and server.num_requests == 0

    run(main())


def test_requests_that_race_with_a_death_all_hear_of_it(model: Path) -> None:
    async def main() -> None:
        async with fake_server(model) as server, connected(server) as router:
            names = []
            router.connection.send(add("killer", [5, KILL]))
            while not router.lost:
                try:
                    router.connection.send(add(str(len(names))))
                except EngineDeadError:
                    break
                names.append(str(len(names)))
                await asyncio.sleep(0)
            lost = {name for _, ids in router.lost for name in ids or []}
            await eventually(lambda: all(n in lost or n in router.refused or router.finished(n) for n in names))
            assert "killer" in lost

    run(main())


# -- connecting ----------------------------------------------------------------------------------------------


def test_a_lost_connection_loses_everything_and_comes_back() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server) as router:
            router.connection.send(add("r"))
            await eventually(engine.added)
            (link,) = server._routers
            link.cut("a cable was pulled")
            await eventually(lambda: router.lost)
            assert router.lost[0][1] is None and engine.aborted() == engine.added()
            await router.connection.wait_ready()
            assert router.connection.num_connections == 2 and len(router.welcomes) == 2
            router.connection.send(add("r"))
            await eventually(lambda: len(engine.added()) == 2)
            engine.step({engine.added()[1]: 4}, {engine.added()[1]})
            await eventually(lambda: router.tokens("r") == [4])

    run(main())


def test_a_replica_that_is_not_there_yet_is_waited_for() -> None:
    async def main() -> None:
        async with scripted_server() as (server, _):
            address = server.address
        router = Router(address)
        router.connection.start()
        assert router.connection.health().state == "starting"
        await eventually(lambda: router.connection.health().state == "dead")
        with pytest.raises(EngineDeadError, match="not connected"):
            router.connection.send(add("r"))
        assert router.lost == []
        async with Replica() as replica:
            replica.script = honest(await a_welcome())
            router.connection._port = replica.address[1]
            await router.connection.wait_ready()
            await router.connection.close()
        with pytest.raises(EngineDeadError, match="closed"):
            router.connection.send(add("r"))

    run(main())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"secret": b"another secret, also long enough"}, "does not know the secret"),
        ({"replica_id": "replica-7"}, "replica answers; expected: replica-7"),
    ],
)
def test_what_is_wrong_with_a_replica_is_in_the_health(options: dict[str, Any], text: str) -> None:
    async def main() -> None:
        async with scripted_server() as (server, _):
            router = Router(server.address, **options)
            router.connection.start()
            await eventually(lambda: text in router.connection.health().detail)
            assert router.connection.ready is None and router.welcomes == [] and router.lost == []
            await router.connection.close()

    run(main())


def test_an_impostor_gets_no_requests() -> None:
    async def main() -> None:
        welcome = await a_welcome()

        async def script(replica: Replica, message: Any) -> None:
            shaking = ReplicaHandshake(b"not the secret of the cluster", "replica")
            if isinstance(message, HandshakeToReplica) and replica.num_connections == 1:
                try:
                    replica.say(shaking.receive(message))
                except Exception:
                    replica.say({"type": "accepted", "digest": bytes(32)}, welcome)

        async with Replica() as replica:
            replica.script = script
            router = Router(replica.address[:2])
            router.connection.start()
            await eventually(lambda: "does not know the secret" in router.connection.health().detail)
            assert router.connection.ready is None and router.welcomes == []
            await router.connection.close()

    run(main())


def test_a_replica_that_never_answers_is_given_up_and_tried_again() -> None:
    async def main() -> None:
        async def script(replica: Replica, message: Any) -> None:
            pass

        async with Replica() as replica:
            replica.script = script
            limits = ConnectionLimits(connect_seconds=0.05, backoff_seconds=0.01)
            router = Router(replica.address[:2], limits=limits)
            router.connection.start()
            await eventually(lambda: replica.num_connections >= 2)
            await eventually(lambda: "no answer in time" in router.connection.health().detail)
            await router.connection.close()

    run(main())


def test_a_replica_that_falls_silent_is_left() -> None:
    async def main() -> None:
        async with Replica() as replica:
            replica.script = honest(await a_welcome())  # it answers no Ping
            limits = ConnectionLimits(silence_seconds=0.4, ping_seconds=0.05, backoff_seconds=0.01)
            router = Router(replica.address[:2], limits=limits)
            router.connection.start()
            await router.connection.wait_ready()
            router.connection.send(add("r"))
            await eventually(lambda: router.lost)
            assert "nothing was heard" in router.lost[0][0] and router.lost[0][1] is None
            await eventually(lambda: len(router.welcomes) >= 2)
            await router.connection.close()

    run(main())


@pytest.mark.parametrize("data", [b"\x05\0\0\0junk!", b"\xff\xff\xff\xff", encode_frame(Abort(["x"]))])
def test_a_replica_that_sends_garbage_is_left(data: bytes) -> None:
    async def main() -> None:
        async with Replica() as replica:
            replica.script = honest(await a_welcome(), clock=0.0)
            router = Router(replica.address[:2])
            router.connection.start()
            await router.connection.wait_ready()
            assert replica.writer is not None
            replica.writer.write(data)
            await eventually(lambda: router.lost)
            assert "not a message" in router.lost[0][0]
            await router.connection.close()

    run(main())


def test_a_callback_that_raises_takes_nothing_along() -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server) as router:
            keep, fail = router.connection._on_message, True

            def message(found: Step | Refused) -> None:
                if fail:
                    raise RuntimeError("a bug")
                keep(found)

            router.connection._on_message = message
            router.connection.send(add("r"))
            await eventually(engine.added)
            (name,) = engine.added()
            engine.step({name: 1}, num_steps=1)
            await eventually(lambda: router.connection.stats.num_steps == 1)
            fail = False
            engine.step({name: 2}, {name})
            await eventually(lambda: router.finished("r"))
            assert router.tokens("r") == [2] and router.lost == []

    run(main())


def test_a_request_that_is_too_large_to_send_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sapwood.cluster.transport.connection.MAX_ADD_FRAME_BYTES", 1000)

    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server) as router:
            with pytest.raises(MessageError, match="at most 1000") as found:
                router.connection.send(add("big", [70000] * 1000))
            assert found.value.request_id == "big"
            router.connection.send(add("r"))
            await eventually(engine.added)
            router.connection.send(Abort(["r"]))
            await eventually(engine.aborted)

    run(main())


def test_all_of_a_request_arrives_but_its_id(model: Path) -> None:
    async def main() -> None:
        async with scripted_server() as (server, engine), connected(server) as router:
            params = SamplingParams(temperature=0.5, seed=2**64 - 1, stop=["x"], logit_bias={3: 1.5}, max_tokens=3)
            sent = Add(
                request_id="r", prompt_token_ids=[1, 2], sampling_params=params, cache_salt="s", output_token_ids=[9]
            )
            router.connection.send(sent)
            await eventually(engine.added)
            (found,) = engine.sent
            assert found.request_id != "r"
            assert (found.prompt_token_ids, found.sampling_params) == ([1, 2], params)
            assert (found.cache_salt, found.output_token_ids) == ("s", [9])

    run(main())


# -- clocks --------------------------------------------------------------------------------------------------


def test_a_clock_that_may_be_ours_is_taken_for_ours() -> None:
    clock = RemoteClock()
    clock.measure(10.0, 10.4, 11.0)
    assert clock.offset == 0.0 and clock.local(5.0) == 5.0


def test_the_shortest_round_trip_of_the_last_minute_counts() -> None:
    clock = RemoteClock()
    clock.measure(0.0, 1000.0, 2.0)
    assert clock.offset == 999.0
    clock.measure(10.0, 1009.2, 10.2)
    assert clock.offset == pytest.approx(999.1)
    clock.measure(20.0, 1020.9, 23.0)
    assert clock.offset == pytest.approx(999.1) and clock.local(1000.0) == pytest.approx(0.9)
    clock.measure(80.0, 1081.0, 81.0)
    assert clock.offset == pytest.approx(1000.5)


def test_times_of_a_step_are_told_by_our_clock() -> None:
    async def main() -> None:
        async with Replica() as replica:
            replica.script = honest(await a_welcome(), clock=-1e6)
            router = Router(replica.address[:2], limits=ROUTER)
            router.connection.start()
            await router.connection.wait_ready()
            await eventually(lambda: router.connection._clock.offset)
            offset = router.connection._clock.offset
            delta = TokenDelta(request_id="r", token_ids=[1], queued=offset + 1.0, scheduled=offset + 2.0)
            replica.say(Step(offset + 3.0, [delta, TokenDelta(request_id="s", token_ids=[2])], EngineStats()))
            await eventually(lambda: router.tokens("s"))
            (step,) = router.steps
            moved = router.connection._clock.offset - offset  # another answer may have come in between
            assert step.at + moved == pytest.approx(3.0, abs=0.5)
            first, second = step.deltas
            assert first.queued is not None and first.scheduled is not None
            assert first.scheduled - first.queued == pytest.approx(1.0) and step.at - first.queued == pytest.approx(2.0)
            assert second.queued is None and router.connection.ready == READY
            await router.connection.close()

    run(main())
