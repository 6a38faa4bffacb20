from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import anyio
import pytest
from attrs import define, field

from multivideo.clock import VirtualClock
from multivideo.errors import AuthenticationFailed, MultiVideoError
from multivideo.jobs.crowd import CROWD, OFF_S
from multivideo.jobs.poller import RATE, Poller
from multivideo.jobs.schedule import Kind, Schedule
from multivideo.transport.carrier import Outgoing
from multivideo.wire import Exchange, JobState, JobStatus, SweepPage, WireRequest
from transport_fakes import HOME, Act, Reply, ScriptedCarrier, Toy, channel, lost, read_toy, ref, said, sender

pytestmark = pytest.mark.anyio
KIND = Kind("toy-1", 8, "720p")
PAGE = 100


@define(eq=False)
class ListingToy(Toy):
    """A vendor that lists its jobs, newest first."""

    def sweep(self, *, since: float, cursor: str | None = None) -> Exchange[SweepPage] | None:
        def page(response: Any) -> SweepPage:
            body = read_toy(False)(response)
            rows = [JobStatus(row["id"], JobState(row["state"]), row["word"]) for row in body["page"]]
            return SweepPage(tuple(rows), body["next"])

        return Exchange(WireRequest("GET", f"{HOME}/list?after={cursor or ''}"), page)


@define(eq=False, slots=False)
class Vendor:
    """Jobs that are made at 0 and end when they are told to, and a poller that waits for them as the driver does."""

    ends: dict[str, float]
    lists: bool = True
    batches: bool = False
    rate: float | None = None
    schedule: Schedule = field(factory=Schedule)
    answer_s: float = 0.02
    words: dict[str, JobState] = field(factory=dict)
    unlisted: set[str] = field(factory=set)
    list_acts: list[Act] = field(factory=list)
    asked: list[tuple[float, str, str]] = field(factory=list)
    told: dict[str, tuple[float, JobStatus | MultiVideoError]] = field(factory=dict)
    looks: Counter[str] = field(factory=Counter)
    clock: VirtualClock = field(factory=VirtualClock)
    poller: Poller = field(init=False)

    def __attrs_post_init__(self) -> None:
        toy = ListingToy(batches=self.batches) if self.lists else Toy(batches=self.batches)
        carrier = ScriptedCarrier([self._answer], clock=self.clock)
        self.poller = Poller(sender(carrier, self.clock), channel(toy), self.clock, self.rate, self.schedule)

    async def _answer(self, message: Outgoing) -> Any:
        path = message.url.removeprefix(f"{HOME}/")
        how = "page" if path.startswith("list?") else "batch" if "?ids=" in path else "alone"
        what = path.rpartition("=")[2] if how != "alone" else path.rpartition("/")[2]
        self.asked.append((self.clock.monotonic(), how, what))
        await self.clock.sleep(self.answer_s)
        if how == "page":
            if self.list_acts:
                act = self.list_acts.pop(0)
                return await act(message) if callable(act) else act
            return said(self._page(what))
        rows = [self._row(name) for name in what.split(",")]
        return said({"jobs": rows} if how == "batch" else rows[0])

    def _page(self, after: str) -> dict[str, Any]:
        newest = list(self.ends)[::-1]
        start = newest.index(after) + 1 if after else 0
        rows = newest[start : start + PAGE]
        listed = [self._row(name) for name in rows if name not in self.unlisted]
        return {"page": listed, "next": rows[-1] if start + PAGE < len(newest) else None}

    def _row(self, name: str) -> dict[str, str]:
        done = self.ends[name] <= self.clock.monotonic()
        state = self.words.get(name, JobState.SUCCEEDED) if done else JobState.RUNNING
        return {"id": name, "state": state.value, "word": state.value}

    async def wait(self, job: str) -> None:
        ended = False
        while not ended:
            age = self.clock.monotonic()
            self.looks[job] += 1
            wait_s = self.schedule.wait_s(KIND, age, random.Random(job).random)
            try:
                status = await self.poller.look(ref(job), wait_s, kind=KIND, age_s=age, early=True)
            except MultiVideoError as error:
                self.told[job] = self.clock.monotonic(), error
                return
            ended = status.state.ended
            self.told[job] = self.clock.monotonic(), status

    async def wait_for_all(self) -> None:
        async with anyio.create_task_group() as tasks:
            for job in self.ends:
                tasks.start_soon(self.wait, job)

    def reads(self, how: str | None = None) -> int:
        return sum(how in (None, kind) for _, kind, _ in self.asked)

    def lags(self) -> list[float]:
        return sorted(self.told[job][0] - end for job, end in self.ends.items())


def burst(count: int, low: float = 24, high: float = 36) -> dict[str, float]:
    dice = random.Random(count)
    return {f"job-{number}": dice.uniform(low, high) for number in range(count)}


def state_of(vendor: Vendor, job: str) -> JobState:
    status = vendor.told[job][1]
    assert isinstance(status, JobStatus)
    return status.state


async def test_a_crowd_is_seen_by_the_pages_of_the_list() -> None:
    vendor = Vendor(burst(400))
    await vendor.wait_for_all()
    assert {state_of(vendor, job) for job in vendor.ends} == {JobState.SUCCEEDED}
    assert vendor.reads() <= 0.4 * 400 + CROWD
    assert vendor.lags()[380] <= 1.3


async def test_a_crowd_is_seen_by_requests_for_many() -> None:
    vendor = Vendor(burst(400), lists=False, batches=True)
    await vendor.wait_for_all()
    assert {state_of(vendor, job) for job in vendor.ends} == {JobState.SUCCEEDED}
    assert vendor.reads() <= 0.5 * 400
    assert vendor.lags()[380] <= 1.3


@pytest.mark.parametrize("lists", [True, False])
async def test_a_few_jobs_are_asked_for_one_by_one(lists: bool) -> None:
    vendor = Vendor(burst(CROWD - 1), lists=lists)
    await vendor.wait_for_all()
    assert vendor.reads("page") == 0
    assert len(vendor.told) == CROWD - 1


async def test_who_waits_in_a_crowd_hears_now_and_then_that_the_job_still_runs() -> None:
    vendor = Vendor(burst(100, 60, 60))
    await vendor.wait_for_all()
    assert all(4 <= vendor.looks[job] <= 12 for job in vendor.ends)


async def test_a_job_that_the_list_does_not_show_is_asked_for_alone_and_is_not_missing() -> None:
    vendor = Vendor(burst(200))
    vendor.unlisted = {"job-7", "job-150"}
    await vendor.wait_for_all()
    assert state_of(vendor, "job-7") is state_of(vendor, "job-150") is JobState.SUCCEEDED
    assert {what for moment, how, what in vendor.asked if how == "alone" and moment < 33} == vendor.unlisted


async def test_a_list_that_shows_none_of_them_is_left_alone_for_a_while() -> None:
    vendor = Vendor(burst(60))
    vendor.unlisted = set(vendor.ends)
    await vendor.wait_for_all()
    assert {state_of(vendor, job) for job in vendor.ends} == {JobState.SUCCEEDED}
    assert vendor.reads("page") <= 2


@pytest.mark.parametrize("act", [said({}, 500), said({}, 403), lost(sent=True), Reply(200, (b"<html>",))])
async def test_a_page_that_fails_is_not_asked_for_again_and_each_job_is_asked_for_alone(act: Act) -> None:
    vendor = Vendor(burst(60, 24, 36))
    vendor.list_acts = [act]
    await vendor.wait_for_all()
    assert {state_of(vendor, job) for job in vendor.ends} == {JobState.SUCCEEDED}
    assert vendor.reads("page") == 1
    assert {what for _, how, what in vendor.asked if how == "alone"} == set(vendor.ends)


async def test_after_a_minute_the_list_is_tried_again() -> None:
    vendor = Vendor(burst(100, 100, 120))
    vendor.list_acts = [said({}, 500)]
    await vendor.wait_for_all()
    pages = [moment for moment, how, _ in vendor.asked if how == "page"]
    assert pages[1] == pytest.approx(pages[0] + OFF_S, abs=3)
    assert vendor.lags()[-1] < 10


async def test_where_there_are_too_many_requests_the_list_waits_and_nobody_asks_alone() -> None:
    vendor = Vendor(burst(100))
    vendor.list_acts = [said({}, 429, retry_after="5")]
    await vendor.wait_for_all()
    assert not [moment for moment, how, _ in vendor.asked if how == "alone" and 1.1 < moment < 30]
    assert {state_of(vendor, job) for job in vendor.ends} == {JobState.SUCCEEDED}


async def test_an_end_without_a_video_is_read_once_more_alone() -> None:
    vendor = Vendor(burst(100))
    vendor.words = {"job-3": JobState.FAILED, "job-4": JobState.FILTERED}
    await vendor.wait_for_all()
    assert state_of(vendor, "job-3") is JobState.FAILED
    assert state_of(vendor, "job-4") is JobState.FILTERED
    alone = [what for _, how, what in vendor.asked if how == "alone"]
    assert alone.count("job-3") == alone.count("job-4") == 1


async def test_a_word_that_nobody_knows_is_carried_and_the_job_goes_on() -> None:
    vendor = Vendor(burst(100, 30, 30))
    vendor.words = {"job-3": JobState.UNKNOWN}
    seen: list[JobState] = []

    async def watch() -> None:
        while not seen or seen[-1] is not JobState.UNKNOWN:
            await vendor.clock.sleep(1)
            if "job-3" in vendor.told:
                seen.append(state_of(vendor, "job-3"))
        vendor.words = {}

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        tasks.start_soon(vendor.wait_for_all)
    assert state_of(vendor, "job-3") is JobState.SUCCEEDED


async def test_a_leader_that_is_cancelled_while_it_reads_the_list_hands_over() -> None:
    vendor, scope, reading = Vendor(burst(300)), anyio.CancelScope(), anyio.Event()

    async def hangs(message: Outgoing) -> Reply:
        reading.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def leader() -> None:
        with scope:
            await vendor.wait("job-0")

    vendor.list_acts = [hangs]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leader)
        await anyio.lowlevel.checkpoint()
        for job in list(vendor.ends)[1:]:
            tasks.start_soon(vendor.wait, job)
        await reading.wait()
        scope.cancel()
    assert len(vendor.told) == 299
    assert {state_of(vendor, job) for job in vendor.told} == {JobState.SUCCEEDED}
    assert vendor.reads() <= 0.5 * 300


async def test_an_error_of_the_account_reaches_everybody() -> None:
    vendor = Vendor(burst(60), lists=False, batches=True)

    async def refuses(message: Outgoing) -> Reply:
        return said({}, 401)

    vendor._answer = refuses  # type: ignore[method-assign]
    vendor.__attrs_post_init__()
    await vendor.wait_for_all()
    assert all(isinstance(answer, AuthenticationFailed) for _, answer in vendor.told.values())
    assert len(vendor.told) == 60


async def test_a_nudge_in_the_midst_of_a_round_goes_first() -> None:
    vendor = Vendor(burst(2000), rate=RATE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(vendor.wait_for_all)
        await vendor.clock.sleep(5)
        vendor.poller.nudge(ref("job-77"))
        await vendor.clock.sleep(1.5)
        tasks.cancel_scope.cancel()
    [moment] = [moment for moment, how, what in vendor.asked if how == "alone" and what == "job-77" and moment >= 5]
    assert moment <= 6.3


async def test_no_more_than_the_rate_begin_in_any_second_and_none_is_hurried() -> None:
    vendor = Vendor(burst(60), lists=False, rate=5.0)
    await vendor.wait_for_all()
    moments = [moment for moment, _, _ in vendor.asked]
    gaps = [after - before for before, after in pairwise(moments)]
    assert min(gaps) >= 0.2 - 1e-6
    assert {state_of(vendor, job) for job in vendor.ends} == {JobState.SUCCEEDED}


async def test_requests_for_many_and_pages_keep_to_the_rate_too() -> None:
    for vendor in (Vendor(burst(900), rate=5.0), Vendor(burst(900), lists=False, batches=True, rate=5.0)):
        await vendor.wait_for_all()
        moments = [moment for moment, _, _ in vendor.asked]
        assert min(after - before for before, after in pairwise(moments)) >= 0.2 - 1e-6
        assert len(vendor.told) == 900


async def test_what_is_nudged_goes_before_all_that_is_late() -> None:
    vendor = Vendor({}, lists=False, rate=1.0)
    vendor.ends = {f"job-{number}": math.inf for number in range(30)}
    async with anyio.create_task_group() as tasks:
        for job in vendor.ends:
            tasks.start_soon(vendor.poller.look, ref(job), 1 + int(job[4:]) / 1000)
        await vendor.clock.sleep(5.5)
        vendor.poller.nudge(ref("job-29"))
        await vendor.clock.sleep(1.0)
        tasks.start_soon(vendor.poller.look, ref("job-28"), 0)
    order = [what for _, _, what in vendor.asked]
    assert order.index("job-29") == 5
    assert order.index("job-28") == 6


async def test_the_times_of_jobs_are_learned_and_the_next_are_looked_at_when_they_end() -> None:
    schedule = Schedule()
    await Vendor(burst(40, 28, 32), lists=False, schedule=schedule).wait_for_all()
    known = schedule.durations(KIND)
    assert known is not None
    assert known.p50_s == pytest.approx(30, abs=2)
    later = Vendor(burst(40, 28, 32), lists=False, schedule=schedule)
    await later.wait_for_all()
    assert min(moment for moment, _, _ in later.asked) > 20
    assert later.reads() / 40 <= 6
    assert schedule._under_way == {KIND: 0}


async def test_a_job_that_is_not_waited_for_any_more_leaves_nothing_behind() -> None:
    vendor = Vendor(burst(60))
    with anyio.move_on_after(10**6) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(vendor.wait_for_all)
            await vendor.clock.sleep(10)
            scope.cancel()
    poller = vendor.poller
    assert poller.schedule._under_way == {KIND: 0}
    assert (poller._courses, poller._line.size, poller._leader) == ({}, 0, None)
    assert not any(poller._crowd.places.knows(job) for job in vendor.ends)


async def test_it_is_told_once_that_a_job_takes_far_too_long() -> None:
    vendor, stuck = Vendor({"slow": 2000.0}, lists=False), []
    while not vendor.told or not isinstance(vendor.told["slow"][1], JobStatus) or not state_of(vendor, "slow").ended:
        age = vendor.clock.monotonic()
        status = await vendor.poller.look(ref("slow"), 10, kind=KIND, age_s=age)
        vendor.told["slow"] = vendor.clock.monotonic(), status
        if vendor.poller.is_newly_stuck(ref("slow"), 100.0):
            stuck.append(vendor.clock.monotonic())
    assert stuck == [pytest.approx(365, abs=6)]


async def test_how_long_a_job_is_unknown_is_counted_from_the_first_look_that_missed_it() -> None:
    vendor = Vendor({"a": math.inf, "b": 0.0}, lists=False, batches=True, answer_s=0)
    vendor.words = {"b": JobState.MISSING}
    for _ in range(3):
        for job in "ab":
            await vendor.poller.look(ref(job), 10, kind=KIND)
    assert vendor.poller.missing_s(ref("a")) == 0
    assert vendor.poller.missing_s(ref("b")) == 40
    vendor.words = {"b": JobState.RUNNING}
    await vendor.poller.look(ref("b"), 10, kind=KIND)
    assert vendor.poller.missing_s(ref("b")) == 0
