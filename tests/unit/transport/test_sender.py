from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from attrs import evolve

from multivideo.client import AsyncClient
from multivideo.clock import SystemClock, VirtualClock
from multivideo.errors import (
    AuthenticationFailed,
    LedgerError,
    MultiVideoError,
    OutcomeUnknown,
    ProviderUnavailable,
    RateLimited,
)
from multivideo.providers.accounts import OpenAIVideos
from multivideo.transport import sender as sender_module
from multivideo.transport.carrier import CarrierFault, Outgoing
from multivideo.transport.retry import Outcome, StepKind
from multivideo.transport.sender import Retry, TryFailed
from multivideo.wire import Part, Resend, Step, WireRequest
from transport_fakes import (
    HOME,
    KEY,
    PROMPT,
    Act,
    Reply,
    ScriptedCarrier,
    Toy,
    channel,
    exchange,
    lost,
    said,
    sender,
)

pytestmark = pytest.mark.anyio

SUBMIT, POLL = StepKind.SUBMIT, StepKind.POLL
OK = said({"id": "job-1"})
STALLS = Reply(stalls=True)


async def play(
    script: list[Act], resend: Resend = Resend.IF_UNSENT, random: float = 1.0, **more: Any
) -> tuple[Any, list[Outgoing], list[float]]:
    """What one exchange brings (an error is returned), what was sent, and when, by the virtual clock."""
    clock, times = VirtualClock(), list[float]()
    carrier = ScriptedCarrier(script)
    kind = SUBMIT if resend is not Resend.ALWAYS else POLL

    async def timed(retry: Retry) -> None:
        times.append(clock.monotonic())

    try:
        found = await sender(carrier, clock, lambda: random).run(channel(), exchange(resend, **more), kind, timed)
    except MultiVideoError as error:
        found = error
    return found, carrier.seen, [*times, clock.monotonic()]


async def test_an_answer_is_read_and_the_request_is_ours_alone() -> None:
    found, [sent], _ = await play([OK])
    assert found == {"id": "job-1"}
    assert (sent.method, sent.url, sent.paid) == ("POST", f"{HOME}/jobs", True)
    assert json.loads(sent.body) == {"prompt": PROMPT}
    assert dict(sent.headers) | {"user-agent": ""} == {
        "user-agent": "",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "authorization": f"Bearer {KEY}",
    }


async def test_a_header_of_the_provider_replaces_ours_whatever_its_case() -> None:
    _, [sent], _ = await play([OK], Resend.ALWAYS, headers={"Accept": "video/mp4", "X-Goog-Task": "1"})
    assert sent.headers["accept"] == "video/mp4"
    assert all(name == name.lower() for name in sent.headers)
    assert sent.body == b""
    assert sent.paid is False


async def test_half_a_surrogate_pair_goes_out_as_json() -> None:
    carrier = ScriptedCarrier([OK])
    request = WireRequest("POST", f"{HOME}/jobs", {"odd": "\ud800"})
    await sender(carrier).run(channel(), evolve(exchange(), request=request), POLL)
    assert json.loads(carrier.seen[0].body) == {"odd": "\ud800"}


async def test_a_form_goes_out_as_a_form() -> None:
    carrier = ScriptedCarrier([OK])
    request = WireRequest("POST", f"{HOME}/jobs", parts=(Part("prompt", "a heron"),), resend=Resend.IF_UNSENT)
    await sender(carrier).run(channel(), evolve(exchange(), request=request), SUBMIT)
    assert carrier.seen[0].headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="prompt"\r\n\r\na heron\r\n' in carrier.seen[0].body


# --- again or never


async def test_a_paid_request_that_was_not_sent_is_tried_four_times() -> None:
    error, seen, times = await play([lost(sent=False)])
    assert type(error) is ProviderUnavailable
    assert (error.charged, error.cost, error.retryable) == ("no", "no, nothing was sent", True)
    assert len(seen) == 4
    assert times == [0, 0.5, 1.5, 3.5]


async def test_a_paid_request_that_was_sent_at_the_second_try_is_answered() -> None:
    found, seen, _ = await play([lost(sent=False), OK])
    assert found == {"id": "job-1"}
    assert len(seen) == 2


@pytest.mark.parametrize(
    "act",
    [
        lost(sent=True),
        Reply(200, (b'{"id": ',), fault=lost(sent=True)),
        Reply(429, fault=lost(sent=True)),
        said({"error": "?"}, 500),
        Reply(200, (b"<html>",)),
        Reply(200, (b'{"id": NaN}',)),
        Reply(200, (b"[" * 100_000,)),
        Reply(200, (b"no gzip",), {"content-encoding": "gzip"}),
        STALLS,
    ],
)
@pytest.mark.parametrize("before", [0, 1])
async def test_a_paid_request_whose_answer_is_lost_is_never_sent_again(act: Act, before: int) -> None:
    error, seen, times = await play([*[lost(sent=False)] * before, act])
    assert type(error) is OutcomeUnknown
    assert error.charged == "unknown"
    assert error.retryable is False
    assert len(seen) == 1 + before
    assert times[-1] <= 121


async def test_a_reader_that_breaks_over_a_paid_answer_leaves_the_outcome_unknown() -> None:
    def broken(response: object) -> Any:
        raise KeyError(PROMPT)

    carrier = ScriptedCarrier([OK])
    with pytest.raises(OutcomeUnknown, match="KeyError") as caught:
        await sender(carrier).run(channel(), evolve(exchange(Resend.IF_UNSENT), read=broken), SUBMIT)
    assert PROMPT not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(KeyError):
        await sender(carrier).run(channel(), evolve(exchange(), read=broken), POLL)
    assert len(carrier.seen) == 2


async def test_a_request_with_a_key_is_sent_again_after_a_lost_answer() -> None:
    found, seen, _ = await play([lost(sent=True), OK], Resend.WITH_KEY)
    assert found == {"id": "job-1"}
    assert [message.paid for message in seen] == [True, True]


@pytest.mark.parametrize(
    "last", [lost(sent=True), lost(sent=False), said({}, 401), said({}, 503, x_should_retry="false")]
)
async def test_after_one_lost_answer_no_later_no_proves_that_there_is_no_job(last: Act) -> None:
    error, _, _ = await play([lost(sent=True), last], Resend.WITH_KEY)
    assert type(error) is OutcomeUnknown


async def test_a_clean_no_to_a_paid_request_is_waited_out() -> None:
    found, seen, times = await play([said({}, 429), said({}, 503), said({}, 429), OK])
    assert found == {"id": "job-1"}
    assert len(seen) == 4
    assert times == [0, 2, 6, 14]


async def test_a_clean_no_is_given_up_after_half_an_hour() -> None:
    error, _, times = await play([said({}, 429)])
    assert type(error) is RateLimited
    assert 1740 < times[-1] <= 1800


async def test_a_refusal_is_final() -> None:
    for resend in (Resend.IF_UNSENT, Resend.ALWAYS):
        error, seen, _ = await play([said({}, 401)], resend)
        assert type(error) is AuthenticationFailed
        assert len(seen) == 1


@pytest.mark.parametrize("word", ["false", " False"])
async def test_a_vendor_that_says_do_not_retry_is_obeyed(word: str) -> None:
    error, seen, _ = await play([said({}, 503, x_should_retry=word)], Resend.ALWAYS)
    assert type(error) is ProviderUnavailable
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "300"}, 0.3),
        ({"retry-after": format_datetime(dt.datetime(2026, 8, 1, 0, 1, tzinfo=dt.UTC), usegmt=True)}, 60),
        ({"retry-after": "120"}, 120),
    ],
)
@pytest.mark.parametrize("resend", [Resend.IF_UNSENT, Resend.ALWAYS])
async def test_the_wait_that_a_vendor_asks_for_is_waited(
    headers: Mapping[str, str], wait_s: float, resend: Resend
) -> None:
    found, _, times = await play([Reply(429, (), headers), OK], resend, random=0.0)
    assert found == {"id": "job-1"}
    assert times == [0, wait_s]


@pytest.mark.parametrize("asked", ["121", "86400"])
async def test_a_wait_of_more_than_two_minutes_is_told_and_not_waited(asked: str) -> None:
    error, seen, times = await play([said({}, 429, retry_after=asked)])
    assert type(error) is RateLimited
    assert error.retry_after == float(asked)
    assert (len(seen), times) == (1, [0])


@pytest.mark.parametrize(
    "act",
    [
        lost(sent=True),
        lost(sent=False),
        said({}, 500),
        Reply(200, (b"<html>",)),
        Reply(200, (b"x",), {"content-encoding": "gzip"}),
    ],
)
async def test_a_read_is_asked_again_after_any_passing_failure(act: Act) -> None:
    found, seen, _ = await play([act, act, OK], Resend.ALWAYS)
    assert found == {"id": "job-1"}
    assert len(seen) == 3


async def test_a_read_that_stalls_is_given_up_and_asked_again() -> None:
    found, seen, times = await play([STALLS, OK], Resend.ALWAYS)
    assert found == {"id": "job-1"}
    assert (len(seen), times) == (2, [600, 601])


async def test_a_read_that_nobody_answers_says_nothing_of_the_cost_of_its_job() -> None:
    error, _, _ = await play([lost(sent=False)], Resend.ALWAYS)
    assert error.cost == ""


async def test_each_retry_is_told_before_its_wait() -> None:
    told: list[Retry] = []

    async def tell(retry: Retry) -> None:
        told.append(retry)

    carrier = ScriptedCarrier([lost(sent=False), said({}, 429), OK])
    await sender(carrier).run(channel(), exchange(Resend.IF_UNSENT), SUBMIT, tell)
    assert told == [
        Retry(SUBMIT, 1, 0.5, "toy cannot be reached: the line broke."),
        Retry(SUBMIT, 2, 4.0, "toy takes no more for now.", throttled=True),
    ]


async def test_a_step_asks_what_it_needs_first_and_pays_last() -> None:
    carrier = ScriptedCarrier([said({"file": "f-1"}), OK])
    step = Step(lambda known: exchange(Resend.IF_UNSENT, f"/jobs/{known[0]['file']}"), (exchange(path="/files"),))
    assert await sender(carrier).take(channel(), step, SUBMIT) == {"id": "job-1"}
    assert [(message.url, message.paid) for message in carrier.seen] == [
        (f"{HOME}/files", False),
        (f"{HOME}/jobs/f-1", True),
    ]


OTHER_FORM = "/jobs/in-another-form"


def with_another_form() -> Step[Any]:
    """A paid step that is sent in another form, where the key is refused and for nothing else."""
    other = exchange(Resend.IF_UNSENT, OTHER_FORM)
    return Step.of(exchange(Resend.IF_UNSENT), lambda error: other if isinstance(error, AuthenticationFailed) else None)


async def test_a_rejected_step_is_sent_in_its_other_form_and_kept_once() -> None:
    carrier, kept = ScriptedCarrier([said({}, 401), OK]), list[Any]()

    async def keep(found: Any) -> None:
        kept.append(found)

    assert await sender(carrier).take(channel(), with_another_form(), SUBMIT, None, keep) == {"id": "job-1"}
    assert [message.url for message in carrier.seen] == [f"{HOME}/jobs", HOME + OTHER_FORM]
    assert kept == [{"id": "job-1"}]


async def test_the_other_form_is_sent_once_and_its_refusal_is_final() -> None:
    carrier = ScriptedCarrier([said({}, 401)])
    with pytest.raises(AuthenticationFailed):
        await sender(carrier).take(channel(), with_another_form(), SUBMIT)
    assert len(carrier.seen) == 2


@pytest.mark.parametrize("act", [said({}, 500), lost(sent=True), lost(sent=False), STALLS, Reply(200, (b"<html>",))])
async def test_no_other_form_is_sent_for_another_reason_or_where_a_job_may_run(act: Act) -> None:
    carrier = ScriptedCarrier([act])
    with pytest.raises((OutcomeUnknown, ProviderUnavailable)):
        await sender(carrier).take(channel(), with_another_form(), SUBMIT)
    assert {message.url for message in carrier.seen} == {f"{HOME}/jobs"}


async def test_an_unknown_outcome_is_not_even_asked_about() -> None:
    asked: list[MultiVideoError] = []
    step: Step[Any] = Step.of(exchange(Resend.IF_UNSENT), asked.append)
    for act in (said({}, 500), lost(sent=True)):
        with pytest.raises(OutcomeUnknown):
            await sender(ScriptedCarrier([act])).take(channel(), step, SUBMIT)
    assert asked == []


# --- a paid exchange is not cut off


class Gate:
    """Holds an answer back until it is told to let it go."""

    def __init__(self, reply: Act = OK) -> None:
        self.asked, self.open, self.reply = anyio.Event(), anyio.Event(), reply

    async def __call__(self, message: Outgoing) -> Act:
        self.asked.set()
        await self.open.wait()
        return self.reply


def keeper(kept: list[Any]) -> Callable[[Any], Awaitable[None]]:
    async def keep(found: Any) -> None:
        await anyio.lowlevel.checkpoint()  # as one does that writes to a file
        kept.append(found)

    return keep


async def test_cancelling_a_paid_exchange_lets_it_finish_and_its_answer_is_kept() -> None:
    gate, kept = Gate(), list[Any]()
    carrier = ScriptedCarrier([gate])
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            step = Step.of(exchange(Resend.IF_UNSENT))
            tasks.start_soon(sender(carrier).take, channel(), step, SUBMIT, None, keeper(kept))
            await gate.asked.wait()
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()
            assert carrier.seen
            assert kept == []
            gate.open.set()
    assert kept == [{"id": "job-1"}]
    assert len(carrier.seen) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("times", [1, 3])
async def test_what_asyncio_itself_cancels_finishes_a_paid_exchange_too(times: int) -> None:
    gate, kept = Gate(), list[Any]()
    step = Step.of(exchange(Resend.IF_UNSENT))
    call = sender(ScriptedCarrier([gate])).take(channel(), step, SUBMIT, None, keeper(kept))
    task = asyncio.ensure_future(call)
    await gate.asked.wait()
    for _ in range(times):
        task.cancel()
        await anyio.wait_all_tasks_blocked()
    assert not task.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept == [{"id": "job-1"}]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_timeout_of_asyncio_around_a_paid_exchange_loses_no_job() -> None:
    gate, kept = Gate(), list[Any]()
    step = Step.of(exchange(Resend.IF_UNSENT))

    async def end_time(limit: asyncio.Timeout) -> None:
        await gate.asked.wait()
        limit.reschedule(asyncio.get_running_loop().time())
        await anyio.wait_all_tasks_blocked()
        gate.open.set()

    async def limited(tasks: TaskGroup) -> None:
        async with asyncio.timeout(3600) as limit:
            tasks.start_soon(end_time, limit)
            await sender(ScriptedCarrier([gate])).take(channel(), step, SUBMIT, None, keeper(kept))

    async with anyio.create_task_group() as tasks:
        with pytest.raises(TimeoutError):
            await limited(tasks)
    assert kept == [{"id": "job-1"}]


async def test_a_submit_that_is_cancelled_on_the_way_leaves_its_job_with_the_client(tmp_path: Path) -> None:
    clock, gate = (
        VirtualClock(),
        Gate(said({"id": "video_1", "object": "video", "status": "queued", "model": "sora-2"})),
    )
    client = AsyncClient(providers=[OpenAIVideos(api_key=KEY)], home=tmp_path, clock=clock)
    client._driver.sender.carrier = ScriptedCarrier([gate], clock=clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(client.submit, PROMPT, model="sora-2", duration=4))
        await gate.asked.wait()
        tasks.cancel_scope.cancel()
        gate.open.set()
    [job] = client.jobs()
    [attempt] = job.ref.attempts
    assert attempt.vendor.remote_id == "video_1"
    assert job.state == "open"


async def test_the_wait_between_two_tries_of_a_paid_request_can_be_cancelled() -> None:
    waiting = anyio.Event()

    async def tell(retry: Retry) -> None:
        waiting.set()
        await anyio.sleep_forever()

    carrier = ScriptedCarrier([said({}, 429)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender(carrier).run, channel(), exchange(Resend.IF_UNSENT), SUBMIT, tell)
        await waiting.wait()
        tasks.cancel_scope.cancel()
    assert len(carrier.seen) == 1


async def test_a_read_can_be_cancelled_at_once() -> None:
    gate = Gate()
    carrier = ScriptedCarrier([gate])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender(carrier).run, channel(), exchange(), POLL)
        await gate.asked.wait()
        tasks.cancel_scope.cancel()
    assert carrier.open_now == 0


async def test_a_paid_request_is_not_sent_if_it_is_cancelled_while_being_signed() -> None:
    signing = anyio.Event()

    class Slow:
        async def headers(self) -> Mapping[str, str]:
            signing.set()
            await anyio.sleep_forever()
            raise AssertionError

    carrier = ScriptedCarrier([OK])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender(carrier).run, channel(signer=Slow()), exchange(Resend.IF_UNSENT), SUBMIT)
        await signing.wait()
        tasks.cancel_scope.cancel()
    assert carrier.seen == []


async def test_what_keeping_an_answer_raises_is_raised_as_it_is_and_not_asked_again() -> None:
    async def full(found: object) -> None:
        raise LedgerError("The books cannot be written.")

    carrier = ScriptedCarrier([OK])
    with pytest.raises(LedgerError, match="books"):
        await sender(carrier).take(channel(), Step.of(exchange(Resend.IF_UNSENT)), SUBMIT, None, full)
    assert len(carrier.seen) == 1


# --- bodies


async def test_an_answer_of_eight_mib_is_read_and_one_byte_more_is_not() -> None:
    size = sender_module.MOST_JSON_BYTES
    text = b'"' + b"a" * (size - 2) + b'"'
    halves = (text[: size // 2], text[size // 2 :])
    found, _, _ = await play([Reply(200, halves)], Resend.ALWAYS)
    assert len(found) == size - 2
    error, _, _ = await play([Reply(200, (*halves, b" "))])
    assert type(error) is OutcomeUnknown
    assert str(size) in error.what


async def test_an_endless_answer_is_left_at_the_cap() -> None:
    pieces = 0

    async def count() -> None:
        nonlocal pieces
        pieces += 1

    error, _, _ = await play([Reply(200, (bytes(1024**2),) * 100, pause=count)])
    assert type(error) is OutcomeUnknown
    assert pieces == 9


@pytest.mark.parametrize("step", [1, 10, 10_000])
async def test_a_gzip_answer_is_read(step: int) -> None:
    zipped = gzip.compress(b'{"id": "job-1"}')
    chunks = tuple(zipped[at : at + step] for at in range(0, len(zipped), step))
    found, _, _ = await play([Reply(200, chunks, {"content-encoding": "GZIP"})])
    assert found == {"id": "job-1"}


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: data + data, lambda data: b"", lambda data: data[2:]]
)
async def test_a_gzip_answer_that_is_not_whole_proves_nothing(spoil: Callable[[bytes], bytes]) -> None:
    data = spoil(gzip.compress(b'{"id": "job-1"}'))
    error, _, _ = await play([Reply(200, (data,), {"content-encoding": "gzip"})])
    assert type(error) is OutcomeUnknown


async def test_a_gzip_bomb_is_left_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "MOST_JSON_BYTES", 1024**2)
    bomb = gzip.compress(bytes(64 * 1024**2))
    error, _, _ = await play([Reply(200, (bomb,), {"content-encoding": "gzip"})])
    assert type(error) is OutcomeUnknown
    assert "more than 1048576 bytes" in error.what


PLACE = (("videos", "*"),)


@pytest.mark.parametrize("zipped", [False, True])
async def test_a_video_inside_an_answer_comes_as_a_file_also_out_of_a_large_gzip(zipped: bool) -> None:
    text = json.dumps({"videos": ["A" * 4_000_000]}).encode()
    reply = Reply(200, (gzip.compress(text),), {"content-encoding": "gzip"}) if zipped else Reply(200, (text,))
    asked = evolve(exchange(spill=PLACE), read=lambda response: (response.json(), response.spilled))
    found, [file] = await sender(ScriptedCarrier([reply])).run(channel(), asked, POLL)
    assert found == {"videos": [""]}
    assert file.read_bytes() == bytes(3_000_000)
    file.unlink()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where spilled files go."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "act",
    [
        Reply(200, (b'{"videos": ["QUJDQ',), fault=lost(sent=True)),
        Reply(200, (b'{"videos": ["QUJDQ',)),
        Reply(200, (b'{"videos": ["Q*"]}',)),
        Reply(200, (b'{"videos": ["QUJD"], }',)),
        Reply(500, (b'{"videos": ["QUJD"]}',)),
        Reply(200, (b'{"videos": ["QUJDQ',), stalls=True),
    ],
)
async def test_a_spilled_answer_that_fails_leaves_no_file(act: Act, temporary: Path) -> None:
    carrier = ScriptedCarrier([act, OK])
    assert await sender(carrier).run(channel(), exchange(spill=PLACE), POLL) == {"id": "job-1"}
    assert list(temporary.iterdir()) == []


async def test_a_cancelled_spill_leaves_no_file(temporary: Path) -> None:
    written = anyio.Event()

    async def second_stops() -> None:
        if list(temporary.iterdir()):
            written.set()
            await anyio.sleep_forever()

    reply = Reply(200, (b'{"videos": ["QUJDQ', b'"]}'), pause=second_stops)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender(ScriptedCarrier([reply])).run, channel(), exchange(spill=PLACE), POLL)
        await written.wait()
        tasks.cancel_scope.cancel()
    assert list(temporary.iterdir()) == []


async def test_a_folder_without_room_for_a_spilled_file_is_told_as_such(temporary: Path) -> None:
    temporary.rmdir()
    carrier = ScriptedCarrier([Reply(200, (b'{"videos": ["QUJD"]}',))])
    with pytest.raises(LedgerError, match="No such file") as caught:
        await sender(carrier).run(channel(), exchange(spill=PLACE), POLL)
    assert caught.value.charged == "held"
    assert len(carrier.seen) == 1


# --- keys and addresses


async def follow(script: list[Act], url: str, *, provider: Toy | None = None, signed: bool = True) -> list[Outgoing]:
    carrier = ScriptedCarrier(script)
    request = WireRequest("GET", url, signed=signed)
    async with sender(carrier).stream(channel(provider), request) as (_, incoming):
        assert incoming.status == 200
        assert [chunk async for chunk in incoming.chunks()] == [b"video"]
    assert carrier.open_now == 0
    return carrier.seen


VIDEO = Reply(200, (b"video",))


def moved(location: str, status: int = 302) -> Reply:
    return Reply(status, (), {"location": location})


def signed(message: Outgoing) -> bool:
    return KEY in str(dict(message.headers))


async def test_the_key_goes_to_the_origins_of_its_provider_and_to_no_other() -> None:
    provider = Toy(origins=(HOME, "https://files.toy.example:8443"))
    for url, expected in {
        f"{HOME}/file": True,
        "https://API.toy.example:443/file": True,
        "https://files.toy.example:8443/file": True,
        "https://files.toy.example/file": False,
        "https://api.toy.example.evil.example/file": False,
        "https://evil.example/api.toy.example": False,
        "https://api.toy.example./file": False,
    }.items():
        [sent] = await follow([VIDEO], url, provider=provider)
        assert signed(sent) is expected, url


async def test_an_unsigned_request_gets_no_key_even_at_home() -> None:
    [sent] = await follow([VIDEO], f"{HOME}/file", signed=False)
    assert not signed(sent)


async def test_the_key_is_dropped_at_another_origin_and_kept_at_the_same() -> None:
    script: list[Act] = [moved("/b?x=1#part"), moved("https://cdn.example/c"), moved("d"), moved(f"{HOME}/e"), VIDEO]
    seen = await follow(script, f"{HOME}/a")
    assert [(message.url.partition("#")[0], signed(message)) for message in seen] == [
        (f"{HOME}/a", True),
        (f"{HOME}/b?x=1", True),
        ("https://cdn.example/c", False),
        ("https://cdn.example/d", False),
        (f"{HOME}/e", True),
    ]


async def test_five_redirects_are_followed_and_a_loop_ends() -> None:
    assert (
        len(await follow([*[moved("/again", status) for status in (301, 302, 303, 307, 308)], VIDEO], f"{HOME}/a")) == 6
    )
    carrier = ScriptedCarrier([moved("/again")])
    with pytest.raises(TryFailed) as caught:
        async with sender(carrier).stream(channel(), WireRequest("GET", f"{HOME}/a")):
            pass
    assert caught.value.outcome is Outcome.REFUSED
    assert "more than 5 times" in caught.value.error.what
    assert (len(carrier.seen), carrier.open_now) == (6, 0)


@pytest.mark.parametrize(
    "location",
    [
        "http://api.toy.example/a",
        "http://cdn.example/a",
        "https://localhost/a",
        "https://127.0.0.1/a",
        "https://[::1",
        "https://word@cdn.example/",
        "ftp://cdn.example/",
        "file:///etc/passwd",
        "//localhost/a",
        "",
    ],
)
async def test_a_redirect_to_where_nobody_may_go_is_refused(location: str) -> None:
    carrier = ScriptedCarrier([moved(location), VIDEO])
    with pytest.raises(TryFailed) as caught:
        async with sender(carrier).stream(channel(), WireRequest("GET", f"{HOME}/a")):
            pass
    assert caught.value.outcome is Outcome.REFUSED
    assert len(carrier.seen) == 1


async def test_an_address_that_may_not_be_asked_is_not_asked_and_costs_no_retry() -> None:
    carrier = ScriptedCarrier([OK])
    request = WireRequest("POST", "http://api.toy.example/jobs", {}, resend=Resend.IF_UNSENT)
    with pytest.raises(ProviderUnavailable, match="without encryption") as caught:
        await sender(carrier).run(channel(), evolve(exchange(Resend.IF_UNSENT), request=request), SUBMIT)
    assert caught.value.retryable is False
    assert carrier.seen == []


async def test_a_provider_on_this_machine_is_asked_and_may_redirect_within_it() -> None:
    provider = Toy(origins=("http://127.0.0.1:8000",))
    seen = await follow([moved("http://localhost:9000/b"), VIDEO], "http://127.0.0.1:8000/a", provider=provider)
    assert [signed(message) for message in seen] == [True, False]


class Raising:
    """A signer that has no credential."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def headers(self) -> Mapping[str, str]:
        if self.errors:
            raise self.errors.pop(0)
        return {"authorization": "Bearer fresh"}


@pytest.mark.parametrize("resend", [Resend.IF_UNSENT, Resend.ALWAYS])
async def test_a_signer_without_a_credential_ends_the_call_before_anything_is_sent(resend: Resend) -> None:
    carrier = ScriptedCarrier([OK])
    signer = Raising(AuthenticationFailed("No token."))
    with pytest.raises(AuthenticationFailed, match="No token") as caught:
        await sender(carrier).run(channel(signer=signer), exchange(resend), SUBMIT)
    assert caught.value.provider == "toy"
    assert carrier.seen == []


async def test_a_signer_that_may_do_better_later_is_asked_again() -> None:
    carrier = ScriptedCarrier([OK])
    signer = Raising(AuthenticationFailed("No network.", retryable=True))
    assert await sender(carrier).run(channel(signer=signer), exchange(Resend.IF_UNSENT), SUBMIT) == {"id": "job-1"}
    assert carrier.seen[0].headers["authorization"] == "Bearer fresh"


async def test_a_signer_that_breaks_is_an_authentication_error_without_its_words() -> None:
    carrier = ScriptedCarrier([OK])
    with pytest.raises(AuthenticationFailed, match="RuntimeError") as caught:
        await sender(carrier).run(channel(signer=Raising(RuntimeError(KEY))), exchange(), POLL)
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_a_signer_that_never_answers_is_not_waited_for_and_nothing_is_sent() -> None:
    clock = VirtualClock()

    class Never:
        async def headers(self) -> Mapping[str, str]:
            await clock.sleep(10**6)
            raise AssertionError

    carrier = ScriptedCarrier([OK])
    with pytest.raises(AuthenticationFailed, match="within 60 s") as caught:
        await sender(carrier, clock).run(channel(signer=Never()), exchange(Resend.IF_UNSENT), SUBMIT)
    assert caught.value.charged == "no"
    assert carrier.seen == []


# --- nothing is given away


@pytest.mark.parametrize(
    "act",
    [
        OK,
        lost(sent=True),
        lost(sent=False),
        said({}, 401),
        said({}, 429, retry_after="999"),
        said({}, 500),
        Reply(200, (PROMPT.encode(),)),
        Reply(200, (KEY.encode(),), {"content-encoding": "gzip"}),
        moved(f"http://cdn.example/?sig={KEY}"),
    ],
)
@pytest.mark.parametrize("resend", [Resend.IF_UNSENT, Resend.ALWAYS])
async def test_no_log_and_no_error_holds_a_key_or_a_prompt(
    act: Act, resend: Resend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    try:
        await sender(ScriptedCarrier([act]), VirtualClock()).run(channel(), exchange(resend), SUBMIT)
    except MultiVideoError as error:
        shown = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    try:
        async with sender(ScriptedCarrier([act])).stream(channel(), exchange(resend).request) as (_, incoming):
            shown.append(repr(incoming.status))
    except TryFailed as failed:
        shown += [str(failed.error), *traceback.format_exception(failed)]
    shown += [record.getMessage() + repr(vars(record)) for record in caplog.records]
    assert not [text for text in shown if KEY in text or "heron" in text]


@pytest.mark.parametrize("status", [200, 400])
async def test_an_answer_that_repeats_the_key_is_read_without_it(status: int) -> None:
    asked = evolve(exchange(), read=lambda response: response.body)
    carrier = ScriptedCarrier(
        [Reply(status, (b'{"message": "no such key: ', KEY[:9].encode(), KEY[9:].encode(), b'"}'))]
    )
    assert await sender(carrier).run(channel(), asked, POLL) == b'{"message": "no such key: ***"}'


async def test_a_key_that_is_a_mere_word_is_not_cut_out_of_answers() -> None:
    class Word:
        async def headers(self) -> Mapping[str, str]:
            return {"authorization": "Bearer id"}

    assert await sender(ScriptedCarrier([OK])).run(channel(signer=Word()), exchange(), POLL) == {"id": "job-1"}


async def test_a_described_request_shows_neither_key_nor_prompt() -> None:
    _, [sent], _ = await play([OK])
    shown = repr(sent) + repr(channel()) + repr(exchange(Resend.IF_UNSENT).request)
    assert KEY not in shown
    assert "heron" not in shown


async def test_the_real_clock_serves_as_well() -> None:
    carrier = ScriptedCarrier([CarrierFault("the line broke", sent=False), OK])
    found = await sender(carrier, SystemClock(), lambda: 0.0).run(channel(), exchange(Resend.IF_UNSENT), SUBMIT)
    assert found == {"id": "job-1"}


async def test_a_header_that_is_no_text_does_not_lose_the_answer_to_a_paid_request() -> None:
    carrier = ScriptedCarrier([said({"id": "1"}, x_request_id="\udcff")])
    assert await sender(carrier).run(channel(), exchange(Resend.IF_UNSENT), StepKind.SUBMIT) == {"id": "1"}
