"""What a user does in a cell, and what goes wrong on this machine, where a plain call is not all."""

from __future__ import annotations

import datetime as dt
import re
import resource
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve
from fault_rig import HOOK_SECRET, LATENCY_S, Act, Rig, generate
from standardwebhooks import Webhook

import multivideo as mv
from multivideo.ledger.store import Store
from multivideo.sandbox.callbacks import Callback

__all__ = [
    "MADE_UP",
    "books_broken",
    "books_busy",
    "books_full",
    "cancel_at",
    "cancel_while_waiting",
    "disk_full",
    "folder_shut",
    "no_credit",
    "no_key",
    "no_price",
    "over_budget",
    "told",
]


async def no_key(rig: Rig, client: mv.AsyncClient) -> mv.Video:
    """A call with no provider at all."""
    client.providers = ()
    return await generate(rig, client)


async def no_price(rig: Rig, client: mv.AsyncClient) -> mv.Video:
    """A model of the user's own, of whose price nothing is known, and a budget that it may not pass."""
    own = {"sora-2": mv.ModelSpec(sizes=("1280x720",), seconds=(4,))}
    [provider] = client.providers
    client.providers = (evolve(provider, models=own),)  # type: ignore[misc] # one that has such a field
    return await client.generate(rig.prompt, **rig.wish, budget=mv.usd(1))


def cancel_at(step: str) -> Any:
    """Somebody cancels the call while a request of that step is under way."""

    def set_up(rig: Rig) -> None:
        rig.at[step] = lambda: rig.scope.cancel()

    return set_up


def cancel_while_waiting(rig: Rig) -> None:
    """Somebody cancels the call while it waits to send its request again."""

    def hear(event: mv.Event) -> None:
        if isinstance(event, mv.Retried):
            rig.scope.cancel()

    rig.on_event = hear


def no_credit(rig: Rig) -> None:
    """There is a cent, and then there is enough."""
    books = rig.client().credits
    books.fund(mv.usd("0.01"))
    rig.undo.append(lambda: books.fund(mv.usd(100)))


def over_budget(rig: Rig) -> None:
    """A budget of a cent a month, which is then taken away."""
    books = rig.client().credits
    budget = books.budget(mv.usd("0.01"), period="month")
    rig.undo.append(lambda: books.remove_budget(budget))


def _file_books(rig: Rig) -> Path:
    """Books in a file, with their tables, that wait no longer than a test can."""
    path = rig.folder / "books.db"
    rig.ledger = mv.Ledger(path)
    store: Store = rig.ledger._store
    store.live, store.busy_s, store.read_s = rig.home != "http://localhost", 0.02, 0.02
    rig.undo.append(store.close)
    return path


def books_busy(rig: Rig) -> None:
    """Another process is in the middle of a write."""
    path = _file_books(rig)
    rig.client().credits.fund(mv.usd(100))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    rig.undo.append(other.close)


def books_broken(rig: Rig) -> None:
    """The file of the books is something else; then it is put aside."""
    path = _file_books(rig)
    path.write_bytes(b"neither a database nor anything else " * 200)
    rig.undo.append(path.unlink)


def books_full(rig: Rig) -> None:
    """The disk of the books has no room left."""
    path = _file_books(rig)
    rig.client().credits.fund(mv.usd(100))
    _no_file_beyond(rig, path.with_name(f"{path.name}-wal").stat().st_size)


def _no_file_beyond(rig: Rig, size: int) -> None:
    """No file of this process can grow beyond that size: for a while it is as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    rig.undo.append(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))


def folder_shut(rig: Rig) -> None:
    """Where the folder of the video should be there is a file."""
    rig.folder.mkdir(exist_ok=True)
    place = rig.folder / "out"
    place.write_text("a file")
    rig.undo.append(place.unlink)


def disk_full(rig: Rig) -> None:
    """From the download on, no file can grow beyond 4 KiB."""
    rig.at["poll" if rig.door == "vertex" else "download"] = lambda: _no_file_beyond(rig, 4096)


MADE_UP = "1234567890"  # a job that the vendor never gave us


def told(how: str) -> Act:
    """The callbacks of a job come, changed in that way; who listens looks when they are true, else at its own time."""

    async def act(rig: Rig, client: mv.AsyncClient) -> mv.Video:
        job = await client.submit(rig.prompt, **rig.wish, poll_interval=600)
        await rig.clock.sleep(LATENCY_S)
        remote_id = job.ref.attempts[0].vendor.remote_id.rpartition("/")[2]
        calls = [call for call in rig.emulator.callbacks() if remote_id in call.body.decode()]
        for call in _changed(calls, how):
            rig.said = await _take(rig, client, call)
        return await job.wait()

    return act


def _changed(calls: list[Callback], how: str) -> list[Callback]:
    assert calls, "the vendor has told nothing"
    last = calls[-1]
    match how:
        case "twice":
            return [*calls, *calls]
        case "out of order":
            return calls[::-1]
        case "forged":
            return [evolve(last, body=last.body.replace(b'"', b"'", 2))]
        case "unsigned":
            return [evolve(last, headers={})]
        case "of another job":
            return [_signed(last, last.body.replace(_id_in(last.body), MADE_UP.encode()))]
        case "no JSON":
            return [_signed(last, b"[" * 5000)]
        case "a lie":
            return [_signed(last, last.body.replace(b"succeed", b"failed").replace(b"completed", b"failed"))]
    return calls


def _id_in(body: bytes) -> bytes:
    found = re.search(rb'"(?:id|task_id)": ?"((?:video_)?\w{10,})"', body.replace(b'"evt_', b'"'))
    assert found is not None
    return found[1]


def _signed(call: Callback, body: bytes) -> Callback:
    """The same delivery with another body, signed as its vendor would."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    at = dt.datetime.fromtimestamp(int(headers["webhook-timestamp"]), dt.UTC)
    headers["webhook-signature"] = Webhook(HOOK_SECRET).sign(headers["webhook-id"], at, body.decode())
    return evolve(call, headers=headers, body=body)


AWAY_S: Mapping[str, float] = {"old": 600.0, "of the future": -600.0}


async def _take(rig: Rig, client: mv.AsyncClient, call: Callback) -> str:
    """What the web server of a user does with a callback."""
    verify = mv.verify_openai if rig.desk == "openai" else mv.verify_kling
    secret = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBrZXk=" if rig.row.name.startswith("signed by") else HOOK_SECRET
    now = rig.clock.wall() + AWAY_S.get(rig.row.name, 0.0)
    try:
        event = verify(secret, call.headers, call.body, now=now)
    except mv.MultiVideoError as error:
        return type(error).__name__
    await client.nudge(event)
    return "taken"
