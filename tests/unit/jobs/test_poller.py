from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multivideo.clock import VirtualClock
from multivideo.errors import AuthenticationFailed, MultiVideoError, RateLimited
from multivideo.jobs import poller as poller_module
from multivideo.jobs.line import Line
from multivideo.jobs.poller import Poller
from multivideo.jobs.schedule import pace
from multivideo.transport.carrier import Outgoing
from multivideo.transport.sender import Retry
from multivideo.wire import JobState, JobStatus
from transport_fakes import Act, Reply, ScriptedCarrier, Toy, channel, lost, ref, said, sender

pytestmark = pytest.mark.anyio
both_ways = pytest.mark.parametrize("batches", [True, False], ids=["together", "alone"])


def asked_ids(message: Outgoing) -> list[str]:
    """The jobs that one request asks for."""
    _, batch, ids = message.url.partition("?ids=")
    return ids.split(",") if batch else [message.url.rpartition("/")[2]]


class Vendor:
    """A vendor over a fake carrier: notes when it was asked for which jobs; some of them it may not know."""

    def __init__(self, *, batches: bool = True, rate: float | None = None) -> None:
        self.clock = VirtualClock()
        self.asked: list[tuple[float, list[str]]] = []
        self.unknown: set[str] = set()
        self.acts: list[Act] = []  # played before it answers as it should
        self.at_once = self.most_at_once = 0
        self.carrier = ScriptedCarrier([self._answer], clock=self.clock)
        toy = Toy(batches=batches)
        self.poller = Poller(sender(self.carrier, self.clock), channel(toy), self.clock, rate)
        self.answers: dict[str, JobStatus | MultiVideoError] = {}

    async def _answer(self, message: Outgoing) -> Any:
        ids = asked_ids(message)
        self.asked.append((self.clock.monotonic(), ids))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await anyio.lowlevel.checkpoint()
            if self.acts:
                act = self.acts.pop(0)
                return await act(message) if callable(act) else act
            rows = [{"id": one, "state": "running"} for one in ids if one not in self.unknown]
            return said({"jobs": rows} if "?ids=" in message.url else rows[0])
        finally:
            self.at_once -= 1

    async def look(self, job: str, wait_s: float, told: list[Retry] | None = None) -> None:
        """Wait for one look; what it brings, an error too, lies in `answers`."""

        async def tell(retry: Retry) -> None:
            if told is not None:
                told.append(retry)

        try:
            self.answers[job] = await self.poller.look(ref(job), wait_s, tell)
        except MultiVideoError as error:
            self.answers[job] = error


async def look_all(vendor: Vendor, jobs: Sequence[tuple[str, float]]) -> None:
    async with anyio.create_task_group() as tasks:
        for job, wait_s in jobs:
            tasks.start_soon(vendor.look, job, wait_s)


async def test_one_request_asks_for_all_jobs_that_are_due() -> None:
    vendor = Vendor()
    await look_all(vendor, [("a", 5), ("b", 5.2), ("c", 5), ("d", 9)])
    assert [(moment, sorted(ids)) for moment, ids in vendor.asked] == [(5.0, ["a", "b", "c"]), (9.0, ["d"])]
    assert {job: status.remote_id for job, status in vendor.answers.items() if isinstance(status, JobStatus)} == {
        job: job for job in "abcd"
    }


async def test_a_vendor_without_batches_is_asked_for_each_job_at_its_own_time() -> None:
    vendor = Vendor(batches=False)
    await look_all(vendor, [("b", 7), ("a", 5)])
    assert vendor.asked == [(5.0, ["a"]), (7.0, ["b"])]
    assert len(vendor.answers) == 2


async def test_a_job_that_two_wait_for_is_asked_for_once() -> None:
    vendor = Vendor()
    await look_all(vendor, [("a", 5), ("a", 5), ("b", 5)])
    assert [(moment, sorted(ids)) for moment, ids in vendor.asked] == [(5.0, ["a", "b"])]


async def test_a_job_that_the_answer_leaves_out_is_missing() -> None:
    vendor = Vendor()
    vendor.unknown = {"b"}
    await look_all(vendor, [("a", 1), ("b", 1)])
    states = {job: answer.state for job, answer in vendor.answers.items() if isinstance(answer, JobStatus)}
    assert states == {"a": JobState.RUNNING, "b": JobState.MISSING}


async def test_more_jobs_than_fit_into_one_request_go_out_in_several() -> None:
    vendor = Vendor()
    await look_all(vendor, [(f"job-{number}", 1) for number in range(250)])
    assert sorted(len(ids) for _, ids in vendor.asked) == [50, 100, 100]
    assert len(vendor.answers) == 250


@both_ways
async def test_a_job_that_is_due_earlier_wakes_the_sleeping_leader(batches: bool) -> None:
    vendor = Vendor(batches=batches)

    async def late_comer() -> None:
        await vendor.clock.sleep(10)
        await vendor.look("early", 5)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vendor.look, "late", 100)
        tasks.start_soon(late_comer)
    assert vendor.asked == [(15.0, ["early"]), (100.0, ["late"])]


@both_ways
async def test_a_look_that_is_due_now_is_taken_now(batches: bool) -> None:
    vendor = Vendor(batches=batches)
    await vendor.look("a", 0)
    assert vendor.asked == [(0.0, ["a"])]


async def test_a_leader_that_is_cancelled_in_its_sleep_hands_over() -> None:
    vendor, scope = Vendor(), anyio.CancelScope()

    async def leader() -> None:
        with scope:
            await vendor.look("leader", 50)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leader)
        await anyio.lowlevel.checkpoint()
        for job, wait_s in (("b", 60.0), ("c", 70.0)):
            tasks.start_soon(vendor.look, job, wait_s)
        await vendor.clock.sleep(10)
        scope.cancel()
    assert vendor.asked == [(60.0, ["b"]), (70.0, ["c"])]
    assert set(vendor.answers) == {"b", "c"}


async def test_a_leader_that_is_cancelled_while_asking_leaves_the_others_to_be_asked_again() -> None:
    vendor, asking, scope = Vendor(), anyio.Event(), anyio.CancelScope()

    async def hangs(message: Outgoing) -> Reply:
        asking.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def leader() -> None:
        with scope:
            await vendor.look("leader", 5)

    vendor.acts = [hangs]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leader)
        await anyio.lowlevel.checkpoint()
        for job in "bcd":
            tasks.start_soon(vendor.look, job, 5)
        await asking.wait()
        scope.cancel()
    assert [sorted(ids) for _, ids in vendor.asked] == [["b", "c", "d", "leader"], ["b", "c", "d"]]
    assert set(vendor.answers) == {"b", "c", "d"}


async def test_a_follower_that_is_cancelled_is_not_asked_for() -> None:
    vendor = Vendor()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vendor.look, "leader", 50)
        await anyio.lowlevel.checkpoint()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as others:
                others.start_soon(vendor.look, "gone", 20)
                await anyio.lowlevel.checkpoint()
                scope.cancel()
    assert vendor.asked == [(50.0, ["leader"])]


async def test_an_error_goes_to_each_waiter_as_its_own_and_the_poller_goes_on() -> None:
    vendor = Vendor()
    vendor.acts = [said({}, 401)]
    await look_all(vendor, [("a", 1), ("b", 1), ("c", 2)])
    first, second = vendor.answers["a"], vendor.answers["b"]
    assert isinstance(first, AuthenticationFailed)
    assert isinstance(second, AuthenticationFailed)
    assert first is not second
    first.job_id = "mine"
    assert second.job_id is None
    assert isinstance(vendor.answers["c"], JobStatus)


async def test_an_error_that_is_none_of_ours_reaches_its_waiters_and_does_not_kill_the_poller() -> None:
    vendor = Vendor()
    vendor.acts = [said({"nothing": "of use"})]
    broken: list[Exception] = []

    async def look(job: str) -> None:
        try:
            await vendor.poller.look(ref(job), 1)
        except KeyError as error:
            broken.append(error)

    async with anyio.create_task_group() as tasks:
        for job in "ab":
            tasks.start_soon(look, job)
    assert len(broken) == 2
    await vendor.look("c", 1)
    assert isinstance(vendor.answers["c"], JobStatus)


@pytest.mark.parametrize("act", [said({}, 500), lost(sent=True), lost(sent=False), Reply(200, (b"<html>",))])
async def test_a_request_that_fails_is_repeated_and_every_waiter_is_told(act: Act) -> None:
    vendor = Vendor()
    vendor.acts = [act, act]
    told: dict[str, list[Retry]] = {"a": [], "b": []}
    async with anyio.create_task_group() as tasks:
        for job, retries in told.items():
            tasks.start_soon(vendor.look, job, 1, retries)
    assert [moment for moment, _ in vendor.asked] == [1, 2, 4]
    assert [retry.wait_s for retry in told["a"]] == [1, 2]
    assert told["a"] == told["b"]
    assert all(isinstance(answer, JobStatus) for answer in vendor.answers.values())


async def test_a_job_whose_looks_fail_does_not_hold_up_the_others() -> None:
    vendor = Vendor(batches=False)

    async def by_job(message: Outgoing) -> Reply:
        [job] = asked_ids(message)
        return said({}, 429) if job.startswith("bad") else said({"id": job, "state": "running"})

    vendor.acts = [by_job] * 2_000
    await look_all(vendor, [*[(f"bad-{number}", 1.0) for number in range(20)], ("good", 2)])
    assert (2.0, ["good"]) in vendor.asked
    assert isinstance(vendor.answers["good"], JobStatus)
    bad = [answer for job, answer in vendor.answers.items() if job != "good"]
    assert len(bad) == 20
    assert all(isinstance(answer, RateLimited) for answer in bad)


async def test_no_more_than_thirty_two_requests_are_under_way_at_once() -> None:
    vendor = Vendor(batches=False)

    async def slow(message: Outgoing) -> Reply:
        await vendor.clock.sleep(1)
        return said({"id": asked_ids(message)[0], "state": "running"})

    vendor.acts = [slow] * 100
    await look_all(vendor, [(f"job-{number}", 1) for number in range(100)])
    assert vendor.most_at_once == poller_module.AT_ONCE == 32
    assert len(vendor.answers) == 100


@both_ways
async def test_a_nudged_job_is_looked_at_at_once_and_the_others_at_their_turn(batches: bool) -> None:
    vendor = Vendor(batches=batches)
    async with anyio.create_task_group() as tasks:
        for job, wait_s in (("first", 50.0), ("nudged", 100.0), ("last", 200.0)):
            tasks.start_soon(vendor.look, job, wait_s)
        await vendor.clock.sleep(10)
        assert vendor.poller.nudge(ref("nudged"))
    assert vendor.asked == [(10.0, ["nudged"]), (50.0, ["first"]), (200.0, ["last"])]


@both_ways
async def test_a_thousand_nudges_of_one_sleeping_job_are_one_look(batches: bool) -> None:
    vendor = Vendor(batches=batches)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vendor.look, "a", 50)
        await vendor.clock.sleep(10)
        for _ in range(1000):
            assert vendor.poller.nudge(ref("a"))
        assert len(vendor.poller._line._heap) <= 2
    await vendor.look("a", 50)
    assert vendor.asked == [(10.0, ["a"]), (60.0, ["a"])]


@both_ways
async def test_nudges_during_a_look_are_one_more_look_after_it(batches: bool) -> None:
    vendor = Vendor(batches=batches)

    async def slow(message: Outgoing) -> Reply:
        await vendor.clock.sleep(2)
        return said({"jobs": [{"id": "a", "state": "running"}], "id": "a", "state": "running"})

    async def driver() -> None:
        for _ in range(3):
            await vendor.look("a", 50)

    vendor.acts = [slow, slow]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(driver)
        await vendor.clock.sleep(51)
        for _ in range(1000):
            assert vendor.poller.nudge(ref("a"))
    assert vendor.asked == [(50.0, ["a"]), (52.0, ["a"]), (104.0, ["a"])]
    assert vendor.most_at_once == 1


@both_ways
async def test_a_nudge_during_the_last_look_leaves_nothing_behind(batches: bool) -> None:
    vendor = Vendor(batches=batches)

    async def slow(message: Outgoing) -> Reply:
        await vendor.clock.sleep(2)
        return said({"jobs": [{"id": "a", "state": "succeeded"}], "id": "a", "state": "succeeded"})

    vendor.acts = [slow]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vendor.look, "a", 50)
        await vendor.clock.sleep(51)
        assert vendor.poller.nudge(ref("a"))
    assert vendor.asked == [(50.0, ["a"])]
    assert vendor.poller._news == set()


async def test_a_flood_of_nudges_of_a_hundred_jobs_is_one_request_after_the_other() -> None:
    vendor = Vendor()

    async def slow(message: Outgoing) -> Reply:
        await vendor.clock.sleep(1)
        return said({"jobs": [{"id": job, "state": "succeeded"} for job in asked_ids(message)]})

    vendor.acts = [slow] * 100
    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(vendor.look, f"job-{number}", 1000)
        await vendor.clock.sleep(0.05)
        for number in range(100):
            await vendor.clock.sleep(0.1)
            for _ in range(10):
                vendor.poller.nudge(ref(f"job-{number}"))
    assert len(vendor.answers) == 100
    assert vendor.most_at_once == 1
    assert len(vendor.asked) <= 11
    assert vendor.asked[-1][0] < 12
    assert vendor.poller._news == set(), "what has ended is not looked at again"


@both_ways
async def test_nobody_who_waits_is_no_error_and_the_next_look_is_taken_at_once(batches: bool) -> None:
    vendor = Vendor(batches=batches)
    assert not vendor.poller.nudge(ref("a"))
    await vendor.look("a", 50)
    await vendor.look("a", 50)
    assert vendor.asked == [(0.0, ["a"]), (50.0, ["a"])]


@both_ways
async def test_two_who_wait_for_a_nudged_job_are_both_told(batches: bool) -> None:
    vendor, told = Vendor(batches=batches), []

    async def look() -> None:
        told.append(await vendor.poller.look(ref("a"), 50))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        tasks.start_soon(look)
        await vendor.clock.sleep(10)
        vendor.poller.nudge(ref("a"))
    assert len(told) == 2
    assert vendor.asked == [(10.0, ["a"])] * (1 if batches else 2)


@both_ways
async def test_a_nudge_is_not_forgotten_by_a_look_that_is_cancelled(batches: bool) -> None:
    vendor, scope = Vendor(batches=batches), anyio.CancelScope()

    async def hangs(message: Outgoing) -> Reply:
        scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    async def cancelled() -> None:
        with scope:
            await vendor.look("a", 50)

    vendor.acts = [hangs]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancelled)
        await vendor.clock.sleep(10)
        vendor.poller.nudge(ref("a"))
    await vendor.look("a", 40)
    assert vendor.asked == [(10.0, ["a"]), (10.0, ["a"])]


async def test_a_nudged_job_is_asked_for_once_more_where_the_leader_is_cancelled_while_asking() -> None:
    vendor, asking, scope = Vendor(), anyio.Event(), anyio.CancelScope()

    async def hangs(message: Outgoing) -> Reply:
        asking.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def leader() -> None:
        with scope:
            await vendor.look("leader", 5)

    vendor.acts = [hangs]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leader)
        await anyio.lowlevel.checkpoint()
        tasks.start_soon(vendor.look, "b", 5.2)
        await asking.wait()
        assert vendor.poller.nudge(ref("b"))
        scope.cancel()
    assert vendor.asked == [(5.0, ["leader", "b"]), (5.0, ["b"])]
    assert vendor.poller._news == set()


@both_ways
async def test_two_thousand_watchers_cost_a_bounded_amount_of_work_each(
    batches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor, steps = Vendor(batches=batches), 0

    def counted(way: Any) -> Any:
        def count(*args: Any) -> Any:
            nonlocal steps
            steps += 1
            return way(*args)

        return count

    monkeypatch.setattr(Line, "put", counted(Line.put))
    monkeypatch.setattr(Line, "_counts", counted(Line._counts))
    await look_all(vendor, [(f"job-{number}", 1 + number % 40) for number in range(2000)])
    assert len(vendor.answers) == 2000
    assert len(vendor.asked) == (2000 if not batches else 40)
    assert steps <= 8 * 2000  # places looked at and filled in the heap, by all together


async def test_nothing_is_left_behind_once_all_are_told() -> None:
    vendor = Vendor()
    await look_all(vendor, [(f"job-{number}", number % 7) for number in range(50)])
    assert vendor.poller._line.size == 0
    assert vendor.poller._leader is None
    await vendor.look("later", 3)
    assert isinstance(vendor.answers["later"], JobStatus)


def test_the_pace_grows_with_time_and_a_vendors_own_word_counts_first() -> None:
    waits = [pace(elapsed, lambda: 0.5) for elapsed in (0, 1, 2, 6, 10, 20, 3600)]
    assert waits == pytest.approx([1, 1, 1, 3, 5, 10, 10])
    assert pace(3600, lambda: 0.5, 2.5) == 2.5


@given(st.floats(0, 1e6), st.floats(0, 1))
def test_the_pace_stays_between_one_and_ten_seconds_give_or_take_a_twentieth(elapsed: float, dice: float) -> None:
    assert 0.95 <= pace(elapsed, lambda: dice) <= 10.5
