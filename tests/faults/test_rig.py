"""The matrix can fail: a client, a vendor or a machine that does what must not be is found out."""

from __future__ import annotations

import logging
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve
from fault_cell import seen
from fault_page import page
from fault_plays import Answered, Broken, Rewritten, Scripted
from fault_rig import KEY, PROMPT, Law, Rig, Row, generate
from fault_rows import ROWS

import multivideo as mv
from multivideo.sandbox import Emulator
from multivideo.transport import sender
from multivideo.transport.carrier import Carrier, Incoming, Outgoing, Reach
from multivideo.transport.retry import Failure, decide

pytestmark = pytest.mark.anyio
Did = mv.Video | None


def row(act: Any = generate, *plays: Any, **more: Any) -> Row:
    return Row(step="submit", name="a test of the tests", plays={"all": plays}, want={}, act=act, **more)


async def test_a_vendor_that_counts_a_second_job_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Emulator, "count", lambda emulator: 2 * len(emulator.jobs()))
    with pytest.raises(Law, match="2 jobs"):
        await seen(row(), "kling", tmp_path)


async def test_a_video_that_was_paid_twice_is_found_out(tmp_path: Path) -> None:
    async def twice(rig: Rig, client: mv.AsyncClient) -> Did:
        await generate(rig, client)
        return await generate(rig, client)

    with pytest.raises(Law, match="a video for"):
        await seen(row(twice), "kling", tmp_path)


@define(eq=False)
class Repeating:
    """A carrier that sends again what was paid, as some HTTP libraries do after a reset."""

    below: Carrier

    @asynccontextmanager
    async def open(self, message: Outgoing) -> AsyncIterator[Incoming]:
        if message.paid:
            async with self.below.open(message):
                pass
        async with self.below.open(message) as incoming:
            yield incoming

    async def aclose(self) -> None:
        await self.below.aclose()


@pytest.mark.parametrize("door", ["openai", "vertex"])
async def test_a_transport_that_sends_twice_is_found_out(door: str, tmp_path: Path) -> None:
    def set_up(rig: Rig) -> None:
        carriers = rig.carriers

        def repeating() -> tuple[Any, Any]:
            below, impatient = carriers()
            return Repeating(below), impatient

        rig.carriers = repeating

    with pytest.raises(Law, match="2 jobs"):
        await seen(row(set_up=set_up), door, tmp_path)


async def test_a_client_that_sends_again_after_a_lost_answer_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(failure: Failure, random: Any) -> float | None:
        return 1.0 if failure.tries < 2 else decide(failure, random)

    monkeypatch.setattr(sender, "decide", careless)
    with pytest.raises(Law, match="sent again"):
        await seen(row(generate, Scripted({"submit_drop": True})), "gemini", tmp_path)


@pytest.mark.parametrize("secret", [KEY, PROMPT])
async def test_a_secret_in_an_error_or_behind_it_is_found_out(secret: str, tmp_path: Path) -> None:
    async def open_one(rig: Rig, client: mv.AsyncClient) -> Did:
        raise mv.ProviderUnavailable(f"no answer for {secret}", charged="no", step="submit")

    async def hidden_one(rig: Rig, client: mv.AsyncClient) -> Did:
        try:
            raise ValueError(secret)
        except ValueError:
            raise mv.ProviderUnavailable("no answer", charged="no", step="submit") from None

    for number, act in enumerate((open_one, hidden_one)):
        with pytest.raises(Law, match="tells a secret"):
            await seen(row(act), "openai", tmp_path / str(number))


async def test_a_secret_in_a_log_is_found_out(tmp_path: Path) -> None:
    async def loud(rig: Rig, client: mv.AsyncClient) -> Did:
        logging.getLogger("somebody").debug("asked", extra={"header": f"Bearer {KEY}"})
        return await generate(rig, client)

    with pytest.raises(Law, match="in a log"):
        await seen(row(loud), "openai", tmp_path)


async def test_a_foreign_error_is_not_taken_for_one_of_ours(tmp_path: Path) -> None:
    async def foreign(rig: Rig, client: mv.AsyncClient) -> Did:
        raise ConnectionResetError("reset by peer")

    with pytest.raises(ConnectionResetError):
        await seen(row(foreign), "openai", tmp_path)


@pytest.mark.parametrize(
    ("charged", "job_id", "law"),
    [
        ("no", "mv-1", "is held"),
        ("held", "mv-1", "hold nothing"),
        ("yes", "mv-1", "know nothing"),
        ("held", None, "which job"),
    ],
)
async def test_an_error_that_does_not_tell_the_truth_about_the_money_is_found_out(
    charged: Any, job_id: str | None, law: str, tmp_path: Path
) -> None:
    async def lying(rig: Rig, client: mv.AsyncClient) -> Did:
        if charged == "no":
            await client.submit(rig.prompt, **rig.wish)
        raise mv.ProviderUnavailable("no answer", charged=charged, job_id=job_id, step="submit")

    with pytest.raises(Law, match=law):
        await seen(row(lying), "kling", tmp_path)


async def test_books_that_differ_from_the_vendors_are_found_out(tmp_path: Path) -> None:
    bill = Rewritten("poll", rb'("amount": ?")([\d.]+)"', rb'\g<1>9"')
    with pytest.raises(Law, match="a video for"):
        await seen(row(generate, bill), "kling", tmp_path)


@pytest.mark.parametrize("folder", ["out", "tmp"])
async def test_a_file_that_is_left_is_found_out(folder: str, tmp_path: Path) -> None:
    async def littering(rig: Rig, client: mv.AsyncClient) -> Did:
        video = await generate(rig, client)
        if folder == "out":
            video.path.with_suffix(".part").write_bytes(b"half")
        else:
            Path(tempfile.mkdtemp()).touch()
        return video

    with pytest.raises(Law, match="files are left"):
        await seen(row(littering), "vertex", tmp_path)


async def test_a_socket_that_is_left_is_found_out(tmp_path: Path) -> None:
    kept: list[socket.socket] = []

    async def leaking(rig: Rig, client: mv.AsyncClient) -> Did:
        kept.append(socket.socket())
        return await generate(rig, client)

    try:
        with pytest.raises(Law, match="sockets are left"):
            await seen(row(leaking, wired=True), "openai", tmp_path)
    finally:
        for each in kept:
            each.close()


async def test_a_fault_that_never_came_is_found_out(tmp_path: Path) -> None:
    for number, play in enumerate((Broken("reset", "download"), Answered("download", 500))):
        with pytest.raises(Law, match="never struck"):
            await seen(row(generate, play), "vertex", tmp_path / str(number))


async def test_a_key_that_goes_astray_and_a_stranger_that_is_asked_are_found_out(tmp_path: Path) -> None:
    def sending(headers: dict[str, str]) -> Any:
        async def act(rig: Rig, client: mv.AsyncClient) -> Did:
            away = Outgoing("GET", "https://10.0.0.1/file", headers, reach=Reach.PUBLIC)
            async with rig.watches[-1].open(away):
                return await generate(rig, client)

        return act

    with pytest.raises(Law, match="the key went to"):
        await seen(row(sending({"authorization": f"Bearer {KEY}"})), "openai", tmp_path / "key")
    with pytest.raises(Law, match="somebody else was asked"):
        await seen(row(sending({})), "openai", tmp_path / "stranger")


async def test_an_error_that_names_another_step_is_found_out(tmp_path: Path) -> None:
    async def confused(rig: Rig, client: mv.AsyncClient) -> Did:
        raise mv.ProviderUnavailable("no answer", charged="no", step="download")

    with pytest.raises(Law, match="says download"):
        await seen(row(confused), "kling", tmp_path)


def test_the_page_changes_with_what_is_seen() -> None:
    some = ROWS[0]
    before, after = page((some,), {(some, "kling"): "video"}), page((some,), {(some, "kling"): "held"})
    assert before != after
    assert page((evolve(some, name="another"),), {}) != page((some,), {})
