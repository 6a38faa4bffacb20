"""What is seen in a cell, in a few words; and the laws that hold in every one of them."""

from __future__ import annotations

import logging
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import anyio
from attrs import frozen
from fault_plays import Scripted
from fault_rig import KEY, PROMPT, Law, Rig, Row, generate, of_door, opened

import multivideo as mv
from multivideo.sandbox.kling_products import UNIT_MICRO_USD

__all__ = ["Seen", "seen"]

_DOUBTFUL = {"lost", "408", "409", "425", "499", "500", "502", "504", "520"}
"""Fates of a paid request after which nobody may send it again."""

_STEPS: Mapping[str, set[str | None]] = {
    "quote": {None},
    "reserve": {"reserve", None},  # a request that cannot be names a field instead
    "submit": {"submit"},
    "poll": {"poll"},
    "download": {"download", "poll"},  # a video inside an answer comes with the poll
    "look up": {"submit"},  # the first act of such a cell is a submit whose answer is lost
    "callback": {None},
}
"""Where an error may say that it happened; None: it does not say."""


@frozen
class Seen:
    """How a cell went: what the user got, what became of it when it was taken up again, and how often it was paid."""

    text: str
    sends: int
    jobs: int
    charged: int


async def seen(row: Row, door: str, folder: Path) -> Seen:
    """Live through one cell. Raises: Law where something happened that must not."""
    with _spooled(folder), _logged() as log:
        async with opened(row, door, folder) as rig:
            for play in rig.plays:
                if isinstance(play, Scripted):
                    rig.emulator.fault(rig.desk, **play.words)
            if row.set_up is not None:
                row.set_up(rig)
            client = rig.client()
            first = await _first_act(rig, client)
            then = await _second_act(rig, client, first)
            text = " → ".join(filter(None, (rig.said, first.text, then)))
            reached = sum(sent.fate != "unsent" for sent in rig.paid)
            found = Seen(text, reached, rig.emulator.count(), rig.emulator.charged())
            await _keeps_the_laws(rig, first, then)
        for line in log:
            if KEY in line or PROMPT in line:
                raise Law(f"a secret is in a log: {line[:300]}")
    return found


@frozen
class _First:
    """What the first act brought."""

    text: str
    error: mv.MultiVideoError | None = None
    video: mv.Video | None = None


async def _first_act(rig: Rig, client: mv.AsyncClient) -> _First:
    error: mv.MultiVideoError | None = None
    video: mv.Video | None = None
    with anyio.CancelScope() as scope:
        rig.scope = scope
        try:
            video = await rig.row.act(rig, client)
        except mv.MultiVideoError as caught:
            error = caught
    _money_is_as_told(rig, client, error, video)
    if error is not None:
        _tells_no_secret(error)
        again = "again" if error.retryable else ""
        return _First(" · ".join(filter(None, (type(error).__name__, error.charged, again))), error)
    if video is None and not scope.cancelled_caught:
        raise Law("nothing came, and nothing was raised")
    return _First("video" if video is not None else "cancelled", None, video)


def _tells_no_secret(error: BaseException) -> None:
    """Neither in what a traceback prints nor in anything that hangs behind it."""
    told, chain = ["".join(traceback.format_exception(error))], [error]
    for each in chain:
        told += [str(each), repr(each), repr(vars(each))]
        chain += [next_ for next_ in (each.__cause__, each.__context__) if next_ is not None and next_ not in chain]
    for secret in (KEY, PROMPT):
        found = [text for text in told if secret in text]
        if found:
            raise Law(f"{type(error).__name__} tells a secret: {found[0][:300]}")


def _money_is_as_told(
    rig: Rig, client: mv.AsyncClient, error: mv.MultiVideoError | None, video: mv.Video | None
) -> None:
    """What the error says of the money is what the books say."""
    charged = error.charged if error is not None else ""
    if error is not None and charged != "no" and error.job_id is None and error.ref is None:
        raise Law("money is bound, and the error does not say to which job")
    if error is not None and error.step not in _STEPS[rig.row.step]:
        raise Law(f"it happened at {rig.row.step}, and the error says {error.step}")
    if isinstance(error, mv.LedgerError) and charged == "no":
        return  # the books are what is broken: they are asked once they are mended
    books = client.credits
    held, spent = books.held, books.spent()
    if charged == "no" and (held or spent):
        raise Law(f"nothing is charged, and {held} is held, {spent} spent")
    if charged == "held" and not held:
        raise Law("it is held, and the books hold nothing")
    if charged in {"yes", "unknown"} and not (held or spent):
        raise Law(f"charged is {charged}, and the books know nothing of it")
    if video is not None and (held or spent != video.charge):
        raise Law(f"a video for {video.charge}, and {held} is held, {spent} spent")


async def _second_act(rig: Rig, client: mv.AsyncClient, first: _First) -> str:
    """Go on with whatever the first act left open, as its user would: with the job, else by a recovery."""
    _has_struck(rig)
    if not rig.row.lasts:
        rig.mend()
    if rig.row.tries_again:
        video = await generate(rig, client)
        await client.aclose()
        return "video" if video.check.ok else "a wrong video"
    if not (client.jobs("open") or client.credits.unresolved()):
        await client.aclose()
        return ""
    if first.error is not None and first.error.ref is not None:
        try:
            await (await client.resume(first.error.ref)).wait()
            return "video"
        except mv.MultiVideoError as error:
            _tells_no_secret(error)
            return _in_words(error)
        finally:
            await client.aclose()
    await client.aclose()
    fresh = rig.client(looking_up=True)
    report = await fresh.recover()
    await fresh.aclose()
    for failed in report.failed:
        _tells_no_secret(failed)
    if report.unresolved:
        return "held"
    return " and ".join(["video" for _ in report.videos] + [_in_words(failed) for failed in report.failed])


def _has_struck(rig: Rig) -> None:
    """A cell whose fault never came proves nothing."""
    for number, play in enumerate(rig.plays):
        if isinstance(play, Scripted):
            waiting = rig.emulator._store.faults._queued.get(rig.desk)
            struck = not waiting or waiting[0][1] > 1
        else:
            struck = play.step == "look up" or any(watch.played.get(number) for watch in rig.watches)
        if not struck:
            raise Law(f"{play} has never struck")


def _in_words(error: mv.MultiVideoError) -> str:
    if "never reached" in error.what:
        return "absent"
    return f"{type(error).__name__} · {error.charged}"


async def _keeps_the_laws(rig: Rig, first: _First, then: str) -> None:
    """Raise Law where a law is broken that holds for every fault at every door."""
    jobs, charged = rig.emulator.count(), rig.emulator.charged()
    _nothing_is_paid_twice(rig, jobs)
    for watch in rig.watches:
        if watch.astray:
            raise Law(f"the key went to {watch.astray}")
        if strange := watch.asked - {"localhost", "files.example"}:
            raise Law(f"somebody else was asked: {strange}")
        if watch.open_now:
            raise Law(f"{watch.open_now} requests are still open")
    came = first.video is not None or then == "video"
    if came and jobs != 1:
        raise Law(f"one video, and the vendor made {jobs} jobs")
    _leaves_no_file(rig, came)
    if rig.row.step == "quote" and (rig.ledger._store._connection is not None or rig.paid):
        raise Law("something was written or sent for a quote")
    _closes_the_books(rig, came, then, charged)


def _nothing_is_paid_twice(rig: Rig, jobs: int) -> None:
    if jobs > 1:
        raise Law(f"{jobs} jobs were made")
    for sent, following in zip(rig.paid, rig.paid[1:], strict=False):
        if sent.jobs or sent.fate in _DOUBTFUL:
            raise Law(f"sent again ({following.fate}) after {sent.fate} with {sent.jobs} jobs")


def _leaves_no_file(rig: Rig, came: bool) -> None:
    out = rig.folder / "out"
    there = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    if there != (["heron.mp4"] if came else []) and not rig.row.keeps_a_file:
        raise Law(f"files are left: {there}")
    spooled = sorted(path.name for path in (rig.folder / "tmp").iterdir())
    if spooled:
        raise Law(f"temporary files are left: {spooled}")


def _closes_the_books(rig: Rig, came: bool, then: str, charged: int) -> None:
    """What was paid is what the vendor charged; what nobody knows is held until somebody says."""
    if units := of_door(rig.row.factor, rig.door):
        charged = units * UNIT_MICRO_USD
    books = rig.client().credits
    for open_one in books.unresolved():
        outcome: Literal["charged", "not_charged"] = "charged" if rig.emulator.count() else "not_charged"
        books.resolve(open_one.attempt_id, outcome=outcome, by="ops", note="looked into the console")
    books.verify()
    if came and (books.held or books.spent().micro_usd != charged):
        raise Law(f"a video for {charged} micro-USD, and {books.held} is held, {books.spent()} spent")
    if then in {"held", "absent"} and (books.held or books.spent().micro_usd != charged):
        raise Law(f"resolved at {charged}, and {books.held} is held, {books.spent()} spent")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Everything that anybody logs, with all that hangs on it."""
    log, root = list[str](), logging.getLogger()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.append(f"{record.getMessage()} {vars(record)}")

    ear, before = Ear(), root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        root.removeHandler(ear)
        root.setLevel(before)


@contextmanager
def _spooled(folder: Path) -> Iterator[None]:
    """Temporary files of the cell lie in a folder of its own, where none may be left."""
    before, spool = tempfile.tempdir, folder / "tmp"
    spool.mkdir(parents=True)
    tempfile.tempdir = str(spool)
    try:
        yield
    finally:
        tempfile.tempdir = before
