"""A replica in virtual time: the real scheduler and block manager, and a clock that moves by a timing model.

Most steps of an engine decide nothing: everybody who runs gets one more token, nobody comes and nobody goes. Such steps
are advanced together. What happens to blocks in them is still done by the block manager and the scheduler's own update,
for those requests alone that need a new block, fill one, or end; the others only count. `merge=False` does every step
by itself, and a test holds both to the same result.

A run of such steps goes up to the first that ends a text (that one included), to one for which blocks are missing, to
the arrival of a request, and to where one that waits might be let in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from sapwood.cluster.simulator.timing import TimingModel
from sapwood.engine.block_hash import extend_hashes
from sapwood.engine.kv_cache_manager import KVCacheManager, check_capacity
from sapwood.engine.kv_events import KVEventBatch
from sapwood.engine.model_runner import SampledToken, SequenceSlice, StepBatch, StepOutput
from sapwood.engine.request import Request
from sapwood.engine.sampling_params import SamplingParams
from sapwood.engine.scheduler import ScheduledSlice, Scheduler, SchedulerConfig, SchedulerOutput
from sapwood.engine.step_budget import StepBudget

_SAMPLING = SamplingParams(temperature=0.0)
_NO_SLICE = SequenceSlice([], 0, [], None)


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """A replica of a pool. num_blocks blocks of block_size tokens; limits as in `SchedulerConfig`; a full step is to
    take step_seconds, as in the engine process (None: no budget). Raises ValueError for limits that do not go together.
    """

    pool: str
    timing: TimingModel
    block_size: int = 64
    num_blocks: int = 2048
    max_model_len: int = 32768
    max_num_seqs: int = 128
    max_num_batched_tokens: int = 2048
    step_seconds: float | None = 0.25
    numerics_id: str = "simulated"

    def __post_init__(self) -> None:
        check_capacity(self.num_blocks, self.block_size, self.max_model_len)
        SchedulerConfig(self.max_num_batched_tokens, self.max_num_seqs, self.max_model_len)


@dataclass(slots=True)
class Work:
    """A request in a replica. output: the tokens that it is going to generate. told: how many were reported."""

    request: Request
    output: Sequence[int]
    told: int = 0


@dataclass(slots=True)
class Report:
    """What a replica says at the end of a step in which something happened.

    progress: (request id, new tokens) of each that has some. first, finished: ids of requests that got their first
    token and their last one.
    """

    time: float
    progress: list[tuple[str, int]] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    num_waiting: int = 0
    num_batched_tokens: int = 0
    events: KVEventBatch | None = None


@dataclass(slots=True)
class _Step:
    """What is under way and ends at `ends`: a step that was scheduled, a run of `count` steps of which nothing is done
    yet, or neither: the rest of a step that is done already."""

    ends: float
    scheduled: SchedulerOutput | None = None
    count: int = 0


class SimulatedReplica:
    """Drive it with `add` and, whenever `due` has come, `fire`. Times are virtual seconds and never go back.

    num_steps, num_batched_tokens: totals.
    """

    def __init__(self, replica_id: str, spec: ReplicaSpec, *, kv_events: bool = True, merge: bool = True) -> None:
        self.replica_id = replica_id
        self.spec = spec
        config = SchedulerConfig(spec.max_num_batched_tokens, spec.max_num_seqs, spec.max_model_len)
        manager = KVCacheManager(spec.num_blocks, spec.block_size, kv_events=kv_events)
        self.scheduler = Scheduler(config, manager, spec.numerics_id)
        self.budget: StepBudget | None = None
        if spec.step_seconds is not None:
            self.budget = StepBudget.within(spec.max_num_seqs, spec.max_num_batched_tokens, spec.step_seconds)
        self._busy_seconds = 0.0  # until it was last idle
        self._busy_since = 0.0
        self.num_steps = self.num_batched_tokens = 0
        self._merge = merge
        self._work: dict[str, Work] = {}
        self._step: _Step | None = None
        self._began = 0.0  # when what is under way began

    @property
    def due(self) -> float | None:
        """When `fire` is to be called, None for an idle replica. `add` and `fire` change it."""
        return None if self._step is None else self._step.ends

    def add(
        self, request_id: str, prompt: list[int], output: Sequence[int], block_hashes: list[bytes], now: float
    ) -> None:
        """Queue a text that arrives now. block_hashes: names of blocks of the prompt, as far as they are known.

        Raises RequestTooLargeError for what could not run even alone.
        """
        request = Request(request_id, prompt, _SAMPLING, max_tokens=len(output))
        self.scheduler.add_request(request)
        request.block_hashes = block_hashes
        self._work[request_id] = Work(request, output)
        if self._step is None:
            self._busy_since = now
            self._begin(now)
        elif self._step.count:
            self._cut(self._step, now)

    def fire(self) -> Report | None:
        """End what is due, and begin what is next. A report, if anything happened that somebody wants to know."""
        step = self._step
        assert step is not None
        if step.scheduled is not None:
            report = self._end(step.scheduled, step.ends)
        else:
            report = self._end_merged(step)
        self._step = None
        if self.scheduler.has_unfinished_requests():
            self._begin(step.ends)
        else:
            self._busy_seconds += step.ends - self._busy_since
        return report

    def busy_seconds(self, now: float) -> float:
        """How long it has been at work until now."""
        return self._busy_seconds + (0.0 if self._step is None else now - self._busy_since)

    # -- steps one by one --------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        self._began = now
        count = self._plan() if self._merge else 0
        if count:
            *_, ends = self._ends(count)
            self._step = _Step(ends, count=count)
            return
        scheduled = self.scheduler.schedule(None if self.budget is None else self.budget.tokens)
        if not scheduled.slices:
            raise RuntimeError(f"{self.replica_id}: nothing can be scheduled")
        tokens = scheduled.total_num_scheduled_tokens
        seconds = self.spec.timing.seconds(tokens, sum(s.start + s.num_tokens for s in scheduled.slices))
        self._count(tokens, seconds)
        self._step = _Step(now + seconds, scheduled)

    def _count(self, tokens: int, seconds: float) -> None:
        self.num_steps += 1
        self.num_batched_tokens += tokens
        if self.budget is not None:
            self.budget.record(tokens, seconds)

    def _end(self, scheduled: SchedulerOutput, now: float) -> Report | None:
        sampled: list[SampledToken | None] = []
        plain = not scheduled.preempted
        for s in scheduled.slices:
            plain = plain and s.num_tokens == 1 and s.samples
            if s.samples:
                work = self._work[s.request.request_id]
                sampled.append(SampledToken(work.output[s.request.num_output_tokens]))
            else:
                sampled.append(None)
        updates = self.scheduler.update_from_output(scheduled, StepOutput(sampled))
        finished = [u.request.request_id for u in updates if u.request.status.is_finished]
        first = [u.request.request_id for u in updates if u.request.num_output_tokens == 1]
        # A step that only decodes tells nothing: so that nothing depends on whether it was done by itself.
        return None if plain and not finished and not first else self._report(now, first, finished)

    def _report(self, now: float, first: list[str], finished: list[str]) -> Report:
        report = Report(now, first=first, finished=finished)
        for request_id in finished:
            self._tell(report, self._work.pop(request_id))
        for request in self.scheduler.running:
            self._tell(report, self._work[request.request_id])
        report.num_waiting = len(self.scheduler.waiting)
        report.num_batched_tokens = self.num_batched_tokens
        report.events = self.scheduler.kv_cache_manager.take_kv_events()
        return report

    @staticmethod
    def _tell(report: Report, work: Work) -> None:
        count = work.request.num_output_tokens
        if count > work.told:
            report.progress.append((work.request.request_id, count - work.told))
            work.told = count

    # -- steps together ----------------------------------------------------------------------------

    def _plan(self) -> int:
        """How many of the next steps can only give a token to everybody who runs; 0 if the next one can do more.

        Up to the first that ends a text; blocks suffice for all of them; and if somebody waits for blocks, the first
        that names one is the last, because it might be what he waits for.
        """
        scheduler = self.scheduler
        running = scheduler.running
        if not running or any(r.num_tokens - r.num_computed_tokens != 1 or not r.num_output_tokens for r in running):
            return 0
        size = self.spec.block_size
        count = min(r.max_tokens - r.num_output_tokens for r in running)
        if len(scheduler.waiting) and len(running) < scheduler.config.max_num_seqs:
            if not self._nobody_comes_in():
                return 0
            count = min(count, 1 + min(-r.num_tokens % size for r in running))
        free = scheduler.kv_cache_manager.block_pool.num_free_blocks
        if len(running) * (count // size + 1) > free:
            needed = [0] * size
            for r in running:
                needed[(1 - r.num_tokens) % size] += 1
            for step in range(count):
                free -= needed[step % size]
                if free < 0:
                    return step
        return count

    def _nobody_comes_in(self) -> bool:
        """Whether there are no blocks for the first that waits: then nobody behind is let in either."""
        scheduler, manager = self.scheduler, self.scheduler.kv_cache_manager
        head = next(iter(scheduler.waiting))
        extend_hashes(head.block_hashes, head.hash_root, head.token_ids, manager.block_size)
        computed = manager.get_computed_blocks(head.block_hashes, head.max_cached_tokens)
        return not manager.fits(head.request_id, head.num_tokens, len(scheduler.running), computed)

    def _ends(self, count: int) -> Iterator[float]:
        """When a run begins, and when each of its steps ends; summed up as steps by themselves would."""
        running = self.scheduler.running
        return accumulate(
            self.spec.timing.run(len(running), sum(r.num_tokens for r in running), count), initial=self._began
        )

    def _cut(self, step: _Step, now: float) -> None:
        """A request came into a run: do what has begun by now, and stop at the end of that."""
        times = list(self._ends(step.count))
        begun = bisect_right(times, now)  # the nth step begins when the one before ends
        if begun < step.count:  # else the last one is under way
            self._do(begun)
            self._step = _Step(times[begun])

    def _end_merged(self, step: _Step) -> Report | None:
        finished = self._do(step.count) if step.count else []
        return self._report(step.ends, [], finished) if finished else None

    def _do(self, count: int) -> list[str]:
        """The next steps of a run: its blocks, names and clock. Ids of texts that the last of them ended."""
        spec, manager = self.spec, self.scheduler.kv_cache_manager
        size = spec.block_size
        running = [(r, r.num_tokens) for r in self.scheduler.running]
        new_block: dict[int, list[tuple[Request, int]]] = {}  # step, modulo the block size, in which it is needed
        for item in running:
            new_block.setdefault((1 - item[1]) % size, []).append(item)
        tokens = len(running)
        for step, seconds in enumerate(spec.timing.run(tokens, sum(n for _, n in running), count)):
            for request, n in new_block.get(step % size, ()):
                if not manager.allocate_slots(request.request_id, n + step):
                    raise RuntimeError(f"{self.replica_id}: no block for {request} in a run that was planned")
            self._count(tokens, seconds)
            filled = new_block.get((step + 1) % size, ())
            if step < count - 1 and filled:
                self._update(filled, step)
        last = new_block.get(count % size, ())
        ends = [item for item in running if item[0].max_tokens - item[1] + item[0].num_prompt_tokens == count]
        self._update([item for item in running if item in last or item in ends] if ends else last, count - 1)
        for request, n in running:
            self._catch_up(request, n + count)
        return [request.request_id for request, _ in ends]

    def _update(self, items: Sequence[tuple[Request, int]], step: int) -> None:
        """What the scheduler does after a step, for some requests that had n tokens before the run."""
        slices: list[ScheduledSlice] = []
        sampled: list[SampledToken | None] = []
        for request, n in items:
            self._catch_up(request, n + step)
            request.num_computed_tokens += 1
            slices.append(ScheduledSlice(request, n + step - 1, 1, request.num_preemptions, True))
            sampled.append(SampledToken(self._work[request.request_id].output[request.num_output_tokens]))
        batch = StepBatch([_NO_SLICE] * len(slices))
        self.scheduler.update_from_output(SchedulerOutput(slices, batch), StepOutput(sampled))

    def _catch_up(self, request: Request, num_tokens: int) -> None:
        """Append what steps of a run have sampled, up to so many known tokens."""
        if request.num_tokens < num_tokens:
            done = request.num_output_tokens
            for token_id in self._work[request.request_id].output[done : done + num_tokens - request.num_tokens]:
                request.append_output_token(token_id)
            request.num_computed_tokens = num_tokens - 1
