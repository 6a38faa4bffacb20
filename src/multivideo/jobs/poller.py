"""Looks at all running jobs of one provider account, with as few requests as the vendor allows.

Nothing runs in the background: whoever waits first leads, says whose turn it is, and hands over when its own job is
told. Where the vendor has one request for several jobs, or a list of all, the leader looks at a crowd of jobs at once,
again and again, and tells those whose jobs have ended; who waits for another hears of it at its own time.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import TypeVar

import anyio
from attrs import define, field

from ..clock import Clock, Nap
from ..errors import MultiVideoError
from ..transport.retry import StepKind
from ..transport.sender import Channel, OnRetry, Retry, Sender
from ..values.refs import VendorRef
from ..wire import Exchange, JobState, JobStatus
from .crowd import Crowd
from .line import NOW, Course, Line, Watch
from .lists import TOP, Reading
from .schedule import Kind, Schedule

__all__ = ["RATE", "Poller"]

T = TypeVar("T")

RATE = 5.0  # requests a second and account: no vendor documents what it bears
BATCH = 100  # Kling names no most (query page, read 2026-09-20): this many ids make an address of 2 KB
AT_ONCE = 32  # as many lines as the transport keeps for reading
SLACK_S = 0.25  # jobs that are due this soon are asked for in the same request
MARGIN_S = 300.0  # a vendor's clock may be this much behind ours
_BLINK_S = 1e-6  # sums of times are no exact times


class _ListFailed(Exception):
    """A page of a list is not asked for twice: each job can still be asked for alone."""


@define(eq=False)
class Poller:
    """The one that polls for all jobs of an account; it also learns how long they take.

    Where the vendor has no request for several jobs, each waiter asks for its own, at most `AT_ONCE` at a time. `rate`
    is how many requests a second begin at most, None: any number. What is nudged goes first.
    """

    sender: Sender
    channel: Channel
    clock: Clock
    rate: float | None = RATE
    schedule: Schedule = field(factory=Schedule)
    _line: Line = field(factory=Line)
    _courses: dict[str, Course] = field(factory=dict)
    _news: set[VendorRef] = field(factory=set)
    """Jobs that were nudged after the last look at them had begun: a look that comes for one is due at once."""
    _leader: Nap | None = None
    _free_at: float = 0.0
    """When the next request may begin."""
    _limit: anyio.Semaphore = field(factory=lambda: anyio.Semaphore(AT_ONCE))
    _leader_until: float = 0.0
    _able: Crowd | None = None

    async def look(
        self,
        ref: VendorRef,
        wait_s: float,
        on_retry: OnRetry | None = None,
        *,
        kind: Kind | None = None,
        age_s: float = 0.0,
        early: bool = False,
    ) -> JobStatus:
        """What the vendor says of the job in that many seconds, or a little sooner where somebody else asks too.

        Args:
            ref: the job.
            wait_s: seconds; where none are left, it goes before all that is due.
            on_retry: told of a try that failed and is followed by another.
            kind: what the job's time is learned by; None: it is not learned.
            age_s: seconds since the vendor accepted it.
            early: whether it may be seen earlier, and asked for later, where there is a crowd.
        """
        watch = self._join(ref, wait_s, on_retry, self._course(ref, kind, age_s), early=early)
        ended = True  # or nobody waits any more
        try:
            while watch.waits:
                if self._leader is None:
                    await self._lead(watch)
                else:
                    await watch.turn.wait()
                    watch.turn = anyio.Event()
            status = await self._ask_alone(watch) if watch.answer is None else _given(watch.answer)
            ended = status.state.ended
            self._learn(watch, status)
            return status
        finally:
            self._leave(watch, ended=ended)

    def nudge(self, ref: VendorRef) -> bool:
        """Have a job looked at now instead of at its next turn. Says whether a look was waited for or under way.

        One under way may not see what has changed, so another follows; of any number of nudges it is one.
        """
        self._news.add(ref)
        watches = [watch for watch in self._line.of(ref.remote_id) if watch.answer is None]
        for watch in watches:
            if watch.waits and watch.due != NOW:
                self._move(watch, NOW)
        return bool(watches)

    def missing_s(self, ref: VendorRef) -> float:
        """For how long the vendor has not known the job."""
        course = self._courses.get(ref.remote_id)
        since = course.missing if course is not None else None
        return 0.0 if since is None else self.clock.monotonic() - since

    def is_newly_stuck(self, ref: VendorRef, high_s: float | None) -> bool:
        """Whether a job takes far longer than such jobs do; True once. `high_s` counts where nothing is learned."""
        course = self._courses.get(ref.remote_id)
        if course is None or course.is_told_stuck:
            return False
        longest = self.schedule.stuck_s(course.kind, high_s)
        course.is_told_stuck = longest is not None and self.clock.monotonic() - course.began > longest
        return course.is_told_stuck

    @property
    def backlog_s(self) -> float:
        """How long it takes at most to ask for each that waits."""
        return 0.0 if self.rate is None else self._line.size / self.rate

    @property
    def _crowd(self) -> Crowd:
        if self._able is None:
            provider, some = self.channel.provider, VendorRef(self.channel.provider.name, "", "", "", "any")
            can_batch = provider.poll_many([some]) is not None
            self._able = Crowd(can_batch, not can_batch and provider.sweep(since=0.0) is not None)
        return self._able

    def _course(self, ref: VendorRef, kind: Kind | None, age_s: float) -> Course | None:
        if kind is None:
            return self._courses.get(ref.remote_id)
        course = self._courses.get(ref.remote_id)
        if course is None:
            began = self.clock.monotonic() - age_s
            course = self._courses[ref.remote_id] = Course(began, kind, self.schedule.enroll(kind))
        return course

    def _join(
        self, ref: VendorRef, wait_s: float, on_retry: OnRetry | None, course: Course | None, *, early: bool
    ) -> Watch:
        now = self.clock.monotonic()
        due = NOW if wait_s <= 0 or ref in self._news else now + wait_s
        watch = Watch(ref, due, due, due, False, on_retry, course)
        if early and course is not None and not course.is_paced and due != NOW:
            watch.early = True
            watch.ripe = min(due, max(now, course.began + self.schedule.first_s(course.kind)))
            watch.due += self._crowd.patience_s(self._line.size, now)
        self._line.join(watch)
        self._crowd.joined(watch, self._line.size, now)
        self._wake()
        return watch

    def _leave(self, watch: Watch, *, ended: bool) -> None:
        self._line.leave(watch)
        remote_id = watch.ref.remote_id
        if ended and not self._line.of(remote_id):
            self._drop(remote_id)
            self._crowd.places.forget(remote_id)
        self._hand_over()

    def _learn(self, watch: Watch, status: JobStatus) -> None:
        if status.state.ended:
            self._news.discard(watch.ref)  # nobody looks again
        if status.state is JobState.SUCCEEDED:
            course = self._drop(watch.ref.remote_id)  # learned once, however many wait
            if course is not None and course.is_learned:
                unready = None if course.unready is None else course.unready - course.began
                self.schedule.learn(course.kind, unready, self.clock.monotonic() - course.began)

    def _drop(self, remote_id: str) -> Course | None:
        course = self._courses.pop(remote_id, None)
        if course is not None and course.is_learned:
            self.schedule.dismiss(course.kind)
        return course

    def _note(self, status: JobStatus, asked_at: float) -> None:
        """Keep what a look at a job says of its course."""
        course = self._courses.get(status.remote_id)
        if course is None or status.state.ended:
            return
        if status.state is JobState.MISSING:
            course.missing = asked_at if course.missing is None else course.missing
        else:
            course.missing, course.unready = None, asked_at

    async def _lead(self, watch: Watch) -> None:
        try:
            while watch.waits:
                self._leader_until = self._moment()
                self._leader = self.clock.nap(self._leader_until - self.clock.monotonic())
                await self._leader.sleep()
                if self._moment() <= self.clock.monotonic() + _BLINK_S:
                    await self._act()
        finally:
            self._leader = None
            self._hand_over()

    def _hand_over(self) -> None:
        if self._leader is None and (other := self._line.first()) is not None:
            other.turn.set()

    def _wake(self) -> None:
        """End the leader's nap where it has become too long."""
        if self._leader is not None and self._moment() < self._leader_until:
            self._leader.wake()

    def _move(self, watch: Watch, due: float) -> None:
        watch.due = due
        self._line.put(watch)
        self._wake()

    def _moment(self) -> float:
        """When there is something to do."""
        if self._crowd.is_busy:
            return NOW
        first = self._line.first()
        return min(self._crowd.at, NOW if first is None else first.due)

    async def _act(self) -> None:
        """Do what is due: what was nudged goes before the next pages of a round, what is late takes turns with them."""
        now = self.clock.monotonic()
        if not self._crowd.is_busy and now + _BLINK_S >= self._crowd.at:
            self._crowd.begin(list(self._line), now)
            self._put_off()
        if self._crowd.can_batch:
            await self._ask()
            return
        first = self._line.first()
        if self._crowd.reading is not None and (first is None or first.due != NOW):
            await self._read_on(self._crowd.reading)
        await self._give_turn()

    def _put_off(self) -> None:
        """Have those whom rounds see to asked for later, and all of them at their own time where there are none."""
        later = self._crowd.patience_s(self._line.size, self.clock.monotonic())
        for watch in self._line:
            if watch.early and watch.due not in {NOW, watch.alone_due + later}:
                self._move(watch, watch.alone_due + later)

    def _end_round(self) -> None:
        """Have those asked for alone whom the round should have seen and did not."""
        began, now = self._crowd.began, self.clock.monotonic()
        self._crowd.end(self._line.jobs, now)
        for watch in self._line:
            seen = watch.course is not None and watch.course.unready is not None and watch.course.unready >= began
            if watch.early and not seen and watch.ripe <= began and watch.due != NOW:
                self._move(watch, watch.alone_due)

    @property
    def _at_once(self) -> int:
        """Requests that the leader sends before it looks up: as many as begin in a second, since nudges wait."""
        return AT_ONCE if self.rate is None else min(AT_ONCE, max(1, int(self.rate)))

    async def _pause(self) -> None:
        """Wait until the next request may begin."""
        if self.rate is None:
            return
        now = self.clock.monotonic()
        at = max(self._free_at, now)
        self._free_at = at + 1 / self.rate
        if at > now:
            await self.clock.sleep(at - now)

    async def _give_turn(self) -> None:
        """Give the one that is due first a place to ask for itself: who that is may change until there is one."""
        if (first := self._line.first()) is None or first.due > self.clock.monotonic() + _BLINK_S:
            return
        await self._pause()
        with ExitStack() as place:
            await self._limit.acquire()
            place.callback(self._limit.release)
            for watch in self._line.take(self.clock.monotonic() + _BLINK_S, 1):
                watch.place = place.pop_all()
                watch.is_its_turn = True
                watch.turn.set()

    async def _ask_alone(self, watch: Watch) -> JobStatus:
        asked_at = self.clock.monotonic()
        status = await self._run(self.channel.provider.poll(watch.ref), [watch.ref], watch.on_retry, watch.place)
        self._note(status, asked_at)
        if watch.course is not None:
            watch.course.is_paced = status.poll_after_s is not None
        return status

    async def _ask(self) -> None:
        """Tell every due watch, by one request for many; the rest of a crowd is seen on the way."""
        most = self._at_once * BATCH
        due = self._line.take(self.clock.monotonic() + SLACK_S, most)
        told, crowd = set(due), self._crowd
        room = most - len(due)
        ripe, crowd.ripe = crowd.ripe[:room], crowd.ripe[room:]
        asked = due + [watch for watch in ripe if watch.waits and watch not in told]
        try:
            async with anyio.create_task_group() as tasks:
                for at in range(0, len(asked), BATCH):
                    tasks.start_soon(self._ask_batch, asked[at : at + BATCH], told)
        finally:
            for watch in due:  # a leader that was cancelled while asking leaves some untold: they are due again
                if watch.waits:
                    self._line.put(watch)
        if ripe and not crowd.ripe:
            self._end_round()

    async def _ask_batch(self, batch: Sequence[Watch], due: Collection[Watch]) -> None:
        async def told(retry: Retry) -> None:
            for watch in batch:
                if watch.on_retry is not None and watch in due:
                    await watch.on_retry(retry)

        try:
            await self._pause()
            asked_at = self.clock.monotonic()
            refs = {watch.ref.remote_id: watch.ref for watch in batch}  # two may wait for one job
            exchange = self.channel.provider.poll_many(list(refs.values()))
            found = {} if exchange is None else await self._run_in_a_place(exchange, refs.values(), told)
        except Exception as error:  # noqa: BLE001 - belongs to whoever waits for these jobs, not to the leader
            for watch in batch:
                if watch in due:
                    watch.tell(error)
            if self._crowd.is_busy:
                self._stop_rounds()
            return
        for watch in batch:
            remote_id = watch.ref.remote_id
            status = found.get(remote_id) or JobStatus(remote_id, JobState.MISSING, "not in the answer")
            self._note(status, asked_at)
            if watch in due or (watch.waits and (status.state.ended or self._crowd.tells(watch, asked_at))):
                watch.tell(status)

    async def _read_on(self, reading: Reading) -> None:
        """Read the next pages of the list, all at once where it is known which."""
        if not (pages := reading.following(self._at_once)):
            self._end_round()
            return
        async with anyio.create_task_group() as tasks:
            for cursor in pages:
                tasks.start_soon(self._read_page, reading, cursor)

    async def _read_page(self, reading: Reading, cursor: str) -> None:
        async def told(retry: Retry) -> None:
            if not retry.throttled:  # then more requests would be worse
                raise _ListFailed

        since = self.clock.wall() - self._crowd.oldest_s - MARGIN_S
        try:
            await self._pause()
            asked_at = self.clock.monotonic()
            exchange = self.channel.provider.sweep(since=since, cursor=None if cursor == TOP else cursor)
            if exchange is None:
                raise _ListFailed
            page = await self._run_in_a_place(exchange, (), told)
        except Exception:  # noqa: BLE001 - whatever it is, each job can be asked for alone, and that tells of it
            self._stop_rounds()
            return
        except BaseException:  # the next leader reads it
            reading.put_back(cursor)
            raise
        ours = [status for status in page.statuses if self._line.of(status.remote_id)]
        self._crowd.places.saw(reading, cursor, page.cursor, [status.remote_id for status in ours])
        for status in ours:
            self._hand_out_row(status, asked_at)

    def _hand_out_row(self, status: JobStatus, asked_at: float) -> None:
        """Tell what a list says of a job; an end without a video is believed only when it was asked for alone.

        A list shows whole jobs at OpenAI (its published API schema, read 2026-08-21), but not at every gateway: what
        may lack there is why a job failed.
        """
        now = self.clock.monotonic()
        self._note(status, asked_at)
        for watch in self._line.of(status.remote_id):
            if not watch.waits:
                continue
            if status.state.ended and status.state is not JobState.SUCCEEDED:
                self._move(watch, min(watch.due, now))
            elif status.state.ended or self._crowd.tells(watch, now):
                watch.tell(status)

    def _stop_rounds(self) -> None:
        self._crowd.stop(self.clock.monotonic())
        self._put_off()

    async def _run_in_a_place(self, exchange: Exchange[T], refs: Collection[VendorRef], on_retry: OnRetry | None) -> T:
        with ExitStack() as place:
            await self._limit.acquire()
            place.callback(self._limit.release)
            return await self._run(exchange, refs, on_retry, place)

    async def _run(
        self, exchange: Exchange[T], refs: Collection[VendorRef], on_retry: OnRetry | None, place: ExitStack | None
    ) -> T:
        """Ask in one of the places; one that waits to try again gives its place away, or a few could block all."""
        news = self._news.intersection(refs)
        self._news -= news

        async def told(retry: Retry) -> None:
            if place is not None:
                place.close()
            if on_retry is not None:
                await on_retry(retry)

        try:
            return await self.sender.run(self.channel, exchange, StepKind.POLL, told)
        except BaseException:
            self._news |= news
            raise


def _given(answer: JobStatus | Exception) -> JobStatus:
    """What a leader has told. Raises: the error that it told; each waiter notes its own job in it."""
    if isinstance(answer, MultiVideoError):
        raise copy.copy(answer)
    if isinstance(answer, Exception):
        raise answer
    return answer
