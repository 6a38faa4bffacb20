"""Neither a key nor a prompt comes out anywhere, at the noisiest setting of everything, whatever goes wrong.

A canary stands for the key, others for every text of the user. After a life full of faults at each door, in process
and over real sockets, they are looked for in all log records with their arguments and tracebacks, in warnings, on the
standard streams, in every repr, in errors and references as text, pickle and JSON, and in every byte that was written
to disk. The note beside a video holds the prompt by design, and is left out.
"""

from __future__ import annotations

import base64
import json
import logging
import pickle
import pprint
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from attrs import define, field

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.providers.accounts import Account
from multivideo.sandbox import Emulator, kling_token
from multivideo.sandbox.server import running
from multivideo.transport.embedded import HOME
from sky import film

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:The HMAC key is")]

KEY = "sk-canary-7f3d1c9b5a"
PROMPT = "canary prompt: a heron walks on the moon"
NEGATIVE = "canary negative: no feathers"
OTHERS = "canary option"
TOKEN = "eyJhbGciOiJIUzI1NiI"  # how what is signed with the pair begins
LETTERS = ("utf-8", "utf-16-le")
DOORS: Mapping[str, str] = {
    "openai": "openai", "litellm": "openai", "kling": "kling", "kling-legacy": "kling", "kling-pair": "kling",
    "vertex": "vertex", "bucket": "vertex", "gemini": "gemini",
}  # fmt: skip
WISHES: Mapping[str, dict[str, Any]] = {
    "openai": {"model": "sora-2", "duration": 4},
    "kling": {"model": "kling-3.0", "duration": 5},
    "vertex": {"model": "veo-3.1", "duration": 4, "negative_prompt": NEGATIVE},
    "gemini": {"model": "veo-3.1", "duration": 4, "negative_prompt": NEGATIVE},
}
ECHO = json.dumps(
    {
        "code": 1201,
        "message": f"Refused: {PROMPT} under {KEY}",
        "error": {
            "code": 400,
            "type": KEY,
            "status": KEY,
            "message": f"{PROMPT} {NEGATIVE} Bearer {KEY}",
            "param": PROMPT,
        },
        "data": {"task_status_msg": PROMPT},
    }
)
FAULTS: tuple[dict[str, Any], ...] = (
    {},
    {"submit": {"value": "400", "body": ECHO}},
    {"submit": {"value": "401", "body": ECHO}},
    {"submit": {"value": "403", "body": ECHO}},
    {"submit": {"value": "429", "body": ECHO}},
    {"submit": {"value": "500", "body": ECHO}},
    {"submit": {"value": "503", "body": ECHO, "times": 2}},
    {"submit": {"value": "200", "body": ECHO}},
    {"submit_drop": True},
    {"submit_unsent": "@1*2"},
    {"made_drop": True},
    {"made_half_body": True},
    {"poll": {"value": "400", "body": ECHO}},
    {"poll": {"value": "401", "body": ECHO}},
    {"poll": {"value": "500", "body": ECHO, "times": 2}},
    {"poll": {"value": "200", "body": ECHO}},
    {"poll_half_body": True},
    {"filtered": True},
    {"download": {"value": "403", "body": ECHO, "times": 2}},
    {"download": {"value": "500", "body": ECHO, "times": 2}},
    {"download_html": True},
    {"download_cut": "@1*2"},
    {"download_redirect": {"value": f"https://user:{KEY}@10.0.0.1/x?sig={KEY}"}},
    {"download_redirect": {"value": f"http://169.254.169.254/{KEY}"}},
)


def account(door: str, base: str) -> Account:
    """The account of a door, whose every secret is the canary."""
    match door:
        case "openai" | "litellm":
            return mv.OpenAIVideos(api_key=KEY, base_url=f"{base}/openai/v1", dialect=door)
        case "kling" | "kling-legacy":
            return mv.Kling(api_key=KEY, base_url=f"{base}/kling", dialect="new" if door == "kling" else "legacy")
        case "kling-pair":
            return mv.Kling(access_key=KEY, secret_key=KEY, base_url=f"{base}/kling")
        case "gemini":
            return mv.Veo(api_key=KEY, base_url=f"{base}/gemini")
    uri = "gs://mine/runs" if door == "bucket" else None
    return mv.Veo(project="p", credentials=mv.BearerToken(KEY), base_url=f"{base}/vertex", output_uri=uri)


@define(eq=False)
class Ears(logging.Handler):
    """Hears every record with all that hangs on it, and whatever else it is told."""

    heard: list[str] = field(factory=list)

    def __attrs_pre_init__(self) -> None:
        super().__init__(level=1)

    def emit(self, record: logging.LogRecord) -> None:
        facts = {name: value for name, value in vars(record).items() if name != "exc_info"}
        self.heard.append(f"log {record.getMessage()} {record.args!r} {facts!r}")
        if record.exc_info and record.exc_info[1] is not None:
            self.hear(record.exc_info[1])

    def hear(self, thing: Any) -> None:
        """Everything that can be printed of it, and how it travels."""
        self.heard += [repr(thing), str(thing), f"{thing}", pprint.pformat(thing)]
        if isinstance(thing, BaseException):
            self.heard += ["".join(traceback.format_exception(thing)), repr(thing.args)]
            self.heard.append("\n".join(f"{name}={value!r}" for name, value in vars(thing).items()))
            self.heard.append(repr(pickle.dumps(thing)))
        if isinstance(thing, mv.JobRef):
            self.heard += [thing.to_json(), repr(pickle.dumps(thing))]

    def hear_all(self, *things: Any) -> None:
        """The same of several."""
        for thing in things:
            self.hear(thing)

    def found(self, *canaries: str) -> list[str]:
        """Where any of them was heard."""
        forms = {form for canary in canaries for form in _forms(canary)}
        return [text[:600] for text in self.heard for form in forms if form in text]


def _forms(canary: str) -> Iterator[str]:
    yield canary
    yield canary[:14]
    yield quote(canary)
    yield base64.b64encode(canary.encode()).decode().rstrip("=")
    yield json.dumps(canary)[1:-1]


@pytest.fixture
def ears() -> Iterator[Ears]:
    """Everything at its noisiest."""
    heard, root = Ears(), logging.getLogger()
    loggers = [
        root,
        *(logging.getLogger(name) for name in (*root.manager.loggerDict, "httpx", "httpcore", "multivideo")),
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(1)
    root.addHandler(heard)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield heard
    root.removeHandler(heard)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    heard.heard += [str(warning.message) for warning in warned if "HMAC key" not in str(warning.message)]


def on_disk(folder: Path) -> Iterator[str]:
    """Every file that holds a canary, but for the notes that are the user's own."""
    forms = [
        form.encode(letters)
        for canary in (KEY, PROMPT, NEGATIVE, OTHERS)
        for form in _forms(canary)
        for letters in LETTERS
    ]
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.endswith(".mp4.json"):
            data = path.read_bytes()
            if any(form in data for form in forms) or KEY in path.name:
                yield path.name


async def live(client: mv.AsyncClient, ears: Ears, wish: Mapping[str, Any], folder: Path) -> None:
    """One job, all of whose parts are heard."""

    def on_event(event: mv.Event) -> None:
        ears.hear(event)

    plan = client.plan(PROMPT, resolution="720p", **wish)
    ears.hear_all(plan, plan.request, plan.quote, *plan.candidates, *plan.rejected, client, *client.providers)
    try:
        job = await client.submit(plan, on_event=on_event, save_to=f"{folder}/out/", poll_interval=0.05)
        ears.hear_all(job, job.ref, job.attempts, *job.attempts)
        ears.hear(await (await client.resume(job.ref.to_json())).status())
        video = await job.wait(30)
        ears.hear_all(video, video.check, video.handle, video.charge)
    except mv.MultiVideoError as error:
        ears.hear(error)


async def aftermath(client: mv.AsyncClient, ears: Ears, folder: Path) -> None:
    """What the books say of it all, and how it is recovered."""
    books = client.credits
    ears.hear_all(client.health(), *client.jobs("all"), await client.recover(deadline=60), books)
    ears.hear_all(books.statement(), *books.statement().rows, *books.unresolved(), books.spent(by="model"))
    books.export(folder / "all.csv")
    books.export(folder / "all.json")
    await client.aclose()


async def wrong_inputs(client: mv.AsyncClient, ears: Ears) -> None:
    """Errors about the very things that must not be told."""
    calls: list[Callable[[], Any]] = [
        lambda: client.generate(PROMPT, model="sora-2", duration=7, seed=-1, options={"kling": {"x": object()}}),
        lambda: client.generate(PROMPT, budget=1),
        lambda: client.generate(PROMPT, first_frame=f"https://user:{KEY}@files.example/{OTHERS}.png"),
        lambda: client.generate(PROMPT, options={OTHERS: {KEY: PROMPT}}, duration=400),
        lambda: client.resume(json.dumps({"key": KEY, "prompt": PROMPT})),
        lambda: client.create_character("Mara", f"https://x:{KEY}@files.example/a.mp4"),
    ]
    for call in calls:
        with pytest.raises(mv.MultiVideoError) as caught:
            await call()
        ears.hear(caught.value)
    for make in (
        lambda: mv.Kling(api_key=f"{KEY} {KEY}", region="mars", base_url=f"https://{KEY}@h.example"),  # type: ignore[arg-type]
        lambda: mv.OpenAIVideos(api_key=f"{KEY}\n", base_url=f"http://h.example/{OTHERS}?key={KEY}"),
        lambda: mv.verify_kling(KEY, {"webhook-id": KEY}, b"", now=0),
    ):
        try:
            ears.hear(make())
        except mv.MultiVideoError as error:
            ears.hear(error)


@pytest.fixture(autouse=True)
def _the_emulator_knows_the_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kling_token, "_SECRETS", {KEY: KEY})


@pytest.mark.parametrize("door", DOORS)
async def test_no_key_and_no_prompt_comes_out_of_any_life_in_this_process(
    door: str, ears: Ears, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = VirtualClock(time.time())  # what Kling's pair signs holds by the system's time
    emulator = Emulator(clock=clock, latency=3.0, render=film)
    for faults in FAULTS:
        client = mv.AsyncClient(providers=[account(door, HOME)], clock=clock, home=tmp_path)
        client._emulator, client._emulator_is_shared = emulator, True
        if faults:
            emulator.fault(DOORS[door], **faults)
        await live(client, ears, WISHES[DOORS[door]], tmp_path)
        await client.aclose()
    await clock.sleep(400)
    client = mv.AsyncClient(providers=[account(door, HOME)], clock=clock, home=tmp_path)
    client._emulator, client._emulator_is_shared = emulator, True
    await wrong_inputs(client, ears)
    await aftermath(client, ears, tmp_path)
    emulator.close()
    ears.heard += capfd.readouterr()
    assert emulator.count() > len(FAULTS) / 2
    assert ears.found(KEY, TOKEN, PROMPT, NEGATIVE) == []
    assert list(on_disk(tmp_path)) == []


@pytest.mark.parametrize("door", DOORS)
async def test_no_key_and_no_prompt_comes_out_over_real_sockets(
    door: str, ears: Ears, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    emulator = Emulator(latency=0.0, render=film)
    with running(emulator) as url:
        for faults in FAULTS[:3] + FAULTS[9:11] + FAULTS[12:14] + FAULTS[20:23:2]:
            client = mv.AsyncClient(providers=[account(door, url)], home=tmp_path)
            if faults:
                emulator.fault(DOORS[door], **faults)
            with anyio.move_on_after(20):
                await live(client, ears, WISHES[DOORS[door]], tmp_path)
            await client.aclose()
    emulator.close()
    ears.heard += capfd.readouterr()
    assert any("log " in text for text in ears.heard)
    assert ears.found(KEY, TOKEN, PROMPT, NEGATIVE) == []
    assert list(on_disk(tmp_path)) == []


async def test_a_canary_that_gets_out_is_heard(ears: Ears, tmp_path: Path) -> None:
    logging.getLogger("httpcore.http11").debug("send_request_headers %r", {"authorization": f"Bearer {KEY}"})
    try:
        raise RuntimeError("x") from ValueError(PROMPT)
    except RuntimeError as error:
        logging.getLogger("elsewhere").debug("failed", exc_info=error)
    ears.hear({"url": f"https://h.example/?q={quote(NEGATIVE)}"})
    assert len({canary for canary in (KEY, PROMPT, NEGATIVE) if ears.found(canary)}) == 3
    (tmp_path / "ledger.db").write_bytes(b"\0" + PROMPT.encode("utf-16-le"))
    (tmp_path / "note.mp4.json").write_text(PROMPT)
    assert list(on_disk(tmp_path)) == ["ledger.db"]
