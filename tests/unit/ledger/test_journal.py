"""The books as a driver uses them: commits in their order, leases, look-ups, and jobs as a list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from books import accept, hold, micro, pay, proof
from multivideo.clock import VirtualClock
from multivideo.errors import LedgerError
from multivideo.ledger import book, sql
from multivideo.ledger.journal import LEASE_S, PAGE, SUBMIT_LEASE_S, Journal
from multivideo.ledger.records import AttemptRow, AttemptState, JobRow, NewAttempt, NewJob
from multivideo.ledger.store import Db, Store

pytestmark = pytest.mark.anyio

S = AttemptState
PROMPT = "A paper boat crosses a puddle"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(params=["file", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> Journal:
    return Journal(Store(tmp_path / "ledger.db" if request.param == "file" else None), clock)


def another(journal: Journal, owner: str = "elsewhere|1|2|3") -> Journal:
    """The same books in a process of another host."""
    return Journal(journal.store, journal.clock, owner)


async def prepare(journal: Journal, name: str = "a", **more: Any) -> None:
    facts = {"id": name, "job_id": name, "provider": "veo", "model": "veo-3.1", "call": "{}", "held": micro(100)}
    job = NewJob(id=name, request_print=f"{PROMPT} in 4 s", prompt_print=PROMPT, tags={"project": "coast"})
    await journal.prepare(job, NewAttempt(**{**facts, **more}))


async def accepted(journal: Journal, name: str = "a", **more: Any) -> None:
    await prepare(journal, name, **more)
    await journal.sending(name, name)
    await journal.accepted(name, f"task-{name}")


def rows(journal: Journal, name: str = "a") -> tuple[JobRow, AttemptRow]:
    found = journal.job(name)
    assert found is not None
    job, [attempt] = found
    return job, attempt


async def test_a_paid_job_from_its_hold_to_its_file(journal: Journal) -> None:
    await prepare(journal, segment=2)
    job, attempt = rows(journal)
    assert (job.owner, attempt.state, attempt.segment, attempt.held) == (journal.owner, S.PREPARED, 2, micro(100))
    assert PROMPT not in f"{job.request_print}{job.prompt_print}"
    assert journal.matches(PROMPT, job.prompt_print)
    assert not journal.matches(f"{PROMPT}!", job.prompt_print)
    await journal.sending("a", "a")
    await journal.sending("a", "a", again=True)
    await journal.accepted("a", "task-a")
    assert [row.id for row in journal.open_jobs()] == ["a"]
    await journal.ended("a", S.SUCCEEDED, micro(80), "reported", "80 units", ["boat.mp4"])
    job, attempt = rows(journal)
    assert (job.files, job.owner, job.ended_ms is None) == (("boat.mp4",), None, False)
    assert (attempt.state, attempt.remote_id, attempt.charge) == (S.SUCCEEDED, "task-a", micro(80))
    assert (journal.open_jobs(), journal.unresolved(), proof(journal.store)) == ((), (), [])


async def test_before_the_first_write_there_is_nothing(journal: Journal) -> None:
    assert (journal.job("a"), journal.open_jobs(), journal.left_open(), list(journal.jobs("all"))) == (None, (), (), [])
    assert (journal.unresolved(), journal.matches(PROMPT, "x")) == ((), False)


async def test_a_job_with_an_attempt_that_nobody_knows_of_stays_open_and_keeps_its_files(journal: Journal) -> None:
    await accepted(journal)
    await prepare(journal, "a", id="a-2")
    await journal.sending("a", "a-2")
    await journal.unknown("a-2", "reset")
    await journal.ended("a", S.SUCCEEDED, micro(100), "derived", files=["boat.mp4"])
    found = journal.job("a")
    assert found is not None
    assert (found[0].ended_ms, found[0].owner, found[0].files) == (None, None, ("boat.mp4",))
    journal.store.write(
        lambda db: book.resolve(db, "a-2", "not_charged", by="ops", note="not there", now_ms=7, live=True)
    )
    found = journal.job("a")
    assert found is not None
    assert (found[0].ended_ms, found[0].files) == (7, ("boat.mp4",)), "the last open attempt closes its job"


async def test_an_attempt_ends_before_its_job_does(journal: Journal) -> None:
    await accepted(journal)
    await journal.ended("a", S.FAILED, micro(0), "derived", "filtered out")
    job, attempt = rows(journal)
    assert (job.ended_ms, attempt.state, attempt.said) == (None, S.FAILED, "filtered out")
    await journal.job_ended("a", ())
    assert rows(journal)[0].ended_ms is not None


async def test_what_was_never_sent_is_given_back_and_its_job_ended(journal: Journal) -> None:
    await prepare(journal)
    await journal.void("a", S.VOID, "never sent")
    await journal.job_ended("a", ())
    job, attempt = rows(journal)
    assert (attempt.state, job.ended_ms is None, proof(journal.store)) == (S.VOID, False, [])


async def test_an_end_that_another_ledger_knows_is_left_to_it(journal: Journal) -> None:
    await journal.ended("theirs", S.SUCCEEDED, micro(1), "reported")
    assert await journal.claim("theirs")
    assert journal.job("theirs") is None


async def test_no_other_process_drives_a_job_until_its_lease_is_over(journal: Journal, clock: VirtualClock) -> None:
    await accepted(journal)
    other = another(journal)
    assert not await other.claim("a")
    assert journal.left_open() == ()
    await clock.sleep(SUBMIT_LEASE_S + 1)
    assert [row.id for row in journal.left_open()] == ["a"]
    assert await other.claim("a")
    await clock.sleep(LEASE_S / 2)
    with pytest.raises(LedgerError, match="taken over"):
        await journal.sending("a", "a", again=True)
    assert not await journal.claim("a")
    await other.release("a")
    await other.release("a")
    assert await journal.claim("a")


async def test_a_lease_that_lasts_is_not_written_again(journal: Journal, clock: VirtualClock) -> None:
    await accepted(journal)
    before = rows(journal)[0].epoch
    assert await journal.claim("a")
    assert rows(journal)[0].epoch == before
    journal.forget("a")
    assert await journal.claim("a")
    assert rows(journal)[0].epoch == before + 1
    await clock.sleep(LEASE_S - 10)
    assert await journal.claim("a")
    assert rows(journal)[0].epoch == before + 2


async def test_clients_of_one_process_hand_jobs_to_each_other(journal: Journal) -> None:
    await accepted(journal)
    sibling = Journal(journal.store, journal.clock)
    assert sibling.owner != journal.owner
    assert await sibling.claim("a")


async def test_a_job_that_was_ended_meanwhile_is_found_so_by_whoever_drives_it(journal: Journal) -> None:
    await prepare(journal)
    await journal.sending("a", "a")
    await journal.unknown("a", "reset")
    journal.store.write(
        lambda db: book.resolve(db, "a", "charged", micro(40), by="ops", note="bill", now_ms=7, live=True)
    )
    assert await journal.claim("a", SUBMIT_LEASE_S + 60), "there is nothing left to drive"
    job, attempt = rows(journal)
    assert (job.ended_ms, job.owner, attempt.charge) == (7, None, micro(40))
    with pytest.raises(LedgerError, match="cannot become accepted"):
        await journal.accepted("a", "task-a")


async def test_what_was_looked_up_is_taken_only_where_it_can_be_no_other_attempt_s(journal: Journal) -> None:
    await accepted(journal, "mine")
    for name in ("lost", "sending"):
        await prepare(journal, name)
        await journal.sending(name, name)
    await journal.unknown("lost", "reset")
    _, lost = rows(journal, "lost")
    print_ = rows(journal, "lost")[0].prompt_print
    assert journal.is_known(lost, "task-mine")
    assert not journal.is_known(evolve(lost, provider="kling"), "task-mine")
    assert not await journal.found(lost, "task-mine", None)
    assert not await journal.found(lost, "task-new", print_), "the one that is being sent may be it"
    assert await journal.found(lost, "task-new", None)
    assert rows(journal, "lost")[1].remote_id == "task-new"


async def test_unknown_ends_are_told(journal: Journal) -> None:
    await prepare(journal, segment=3)
    await journal.sending("a", "a")
    await journal.unknown("a", "reset")
    [told] = journal.unresolved()
    assert (told.attempt_id, told.segment, told.tags, told.state) == ("a", 3, {"project": "coast"}, "unknown")


# as a list


def many(db: Db) -> None:
    """Jobs of every state, two in each millisecond."""
    steps: list[Callable[[Db, str], None]] = [accept, pay, failed, hold, lost]
    for number in range(3 * PAGE):
        name = f"job-{number:04}"
        steps[number % len(steps)](db, name)
        at_ms = number // 2
        db.all("UPDATE jobs SET created_ms = :at WHERE id = :id", at=at_ms, id=name)


def failed(db: Db, name: str) -> None:
    hold(db, name)
    book.void(db, name, S.VOID, "never sent", now_ms=0, live=True)
    book.end_job(db, name, (), now_ms=0)


def lost(db: Db, name: str) -> None:
    hold(db, name)
    book.sending(db, name, now_ms=0)
    book.unknown(db, name, "reset")


@pytest.fixture
def listed(journal: Journal) -> Journal:
    def work(db: Db) -> None:
        many(db)
        db.all("UPDATE jobs SET files = '[\"a.mp4\"]' WHERE id IN (SELECT id FROM attempts WHERE state = 'succeeded')")

    journal.store.write(work)
    return journal


KINDS = {"open": [0], "finished": [1], "failed": [2], "all": [0, 1, 2]}


@pytest.mark.parametrize(("state", "kinds"), KINDS.items())
async def test_jobs_of_a_state_come_newest_first_each_once(listed: Journal, state: str, kinds: list[int]) -> None:
    numbers = [number for number in reversed(range(3 * PAGE)) if number % 5 in kinds]
    assert [row.id for row, _ in listed.jobs(state)] == [f"job-{number:04}" for number in numbers]
    since = [row.id for row, _ in listed.jobs(state, since_ms=PAGE)]
    assert since == [f"job-{number:04}" for number in numbers if number // 2 >= PAGE]


async def test_no_more_jobs_are_read_than_are_asked_for(listed: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    store_read = listed.store.read

    def counted(work: Any, nothing: Any) -> Any:
        found = store_read(work, nothing)
        read.append(len(found))
        return found

    monkeypatch.setattr(Store, "read", lambda self, work, nothing: counted(work, nothing))
    few = listed.jobs("all")
    assert [next(few)[1][0].job_id for _ in range(3)] == ["job-0297", "job-0296", "job-0295"]
    assert read == [PAGE]


@pytest.mark.parametrize(("state", "index"), [("open", "jobs_open"), ("finished", "jobs_by_time")])
async def test_jobs_are_found_by_an_index_and_never_sorted(listed: Journal, state: str, index: str) -> None:
    statement = sql.NEWEST_JOBS.replace("{which}", f"({sql.WHICH_JOBS[state]})")
    bounds = {"created_ms": 0, "id": "", "since": 0, "most": 1}
    plan = listed.store.write(lambda db: db.all(f"EXPLAIN QUERY PLAN {statement}", **bounds))
    told = " ".join(str(row) for row in plan)
    assert f"USING INDEX {index}" in told
    assert "TEMP B-TREE" not in told
