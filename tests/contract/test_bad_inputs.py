"""More than a hundred calls that cannot be: each is one error of ours that names every wrong field, and costs nothing.

Nothing is sent, nothing is written, not even an empty ledger or a folder. What a single field of a request takes is
tested in full beside the request; here every public call is tried with what a hurried caller hands to it.
"""

from __future__ import annotations

import datetime as dt
import inspect
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, frozen

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator, Reply

pytestmark = pytest.mark.anyio

FOX = "A fox crosses a frozen lake"
NAN, INF = float("nan"), float("inf")
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x08mdat"
KEY = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI="
URL = "https://gateway.example/v1"
NOW = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
HEADERS = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}


@define(eq=False)
class Deaf(Emulator):
    """An emulator that must never be asked."""

    async def __call__(self, *_: Any) -> Reply:
        raise AssertionError("something was sent")


@frozen
class Bad:
    """One call, the fields that it must name, and the kind of error that it must be."""

    call: Callable[[Any], Any]
    fields: str
    kind: type[mv.MultiVideoError] = mv.InvalidRequest


def plan() -> mv.Plan:
    return mv.AsyncClient.sandbox().plan(FOX, model="veo-3.1")


def video(**changes: Any) -> mv.Video:
    facts: dict[str, Any] = {
        "path": Path("gone.mp4"), "model": "veo-3.1", "provider": "vertex", "job_id": "mv-1", "prompt": FOX,
        "duration": 8.0, "width": 1280, "height": 720, "fps": 24.0, "has_audio": True, "size_bytes": 1, "sha256": "",
        "check": mv.Check((), "headers"), "charge": mv.usd(0), "certainty": "derived", "plan": None, "segments": (),
        "created_at": NOW, "handle": None, "raw": None,
    }  # fmt: skip
    return mv.Video(**{**facts, **changes})


ONE_OF_EACH: dict[str, Any] = {
    "model": "", "duration": "8", "resolution": "8k", "aspect_ratio": "4:3", "fps": -1, "audio": "yes",
    "first_frame": 5, "last_frame": "gone.png", "reference_images": [5], "source_video": "gone.mp4", "mode": "blend",
    "negative_prompt": "", "seed": -1, "shots": ["a"], "watermark": "no", "region": "mars", "count": 0,
    "accept_unconfirmed": 1, "strict": None,
    "brief": "poem", "policy": 5, "budget": 1.5, "deadline": 0, "tags": {"a": 1}, "save_to": "", "sidecar": "yes",
    "on_event": 5, "poll_interval": NAN, "options": {"kling": 5},
}  # fmt: skip


def _calling(name: str, field: str, value: Any) -> Callable[[Any], Any]:
    return lambda client: getattr(client, name)(FOX, **{field: value})


lax: Any = mv  # what a type checker would refuse is what is tried
BAD: dict[str, Bad] = {
    **{
        f"{name}: one bad {field}": Bad(_calling(name, field, value), field)
        for number, (field, value) in enumerate(ONE_OF_EACH.items())
        for name in (("generate", "submit", "plan", "quote")[number % 4],)
    },
    "generate: everything at once": Bad(
        lambda c: c.generate("", **{n: v for n, v in ONE_OF_EACH.items() if n != "last_frame"}, duraton=8),
        " ".join({"prompt", "duraton", *ONE_OF_EACH} - {"last_frame"}),
    ),
    "generate: a number for a prompt": Bad(lambda c: c.generate(5), "prompt"),
    "generate: nothing for a prompt": Bad(lambda c: c.generate(None), "prompt"),
    "generate: an object for a prompt": Bad(lambda c: c.generate(object()), "prompt"),
    "generate: bytes for a prompt": Bad(lambda c: c.generate(b"a fox"), "prompt"),
    "generate: an option that is none": Bad(lambda c: c.generate(FOX, duraton=8), "duraton"),
    "generate: two options that are none": Bad(lambda c: c.generate(FOX, size="4k", secs=8), "size secs"),
    "generate: no such model": Bad(lambda c: c.generate(FOX, model="veo-9"), "model"),
    "generate: no such path": Bad(lambda c: c.generate(FOX, model="veo-3.1@mars"), "model"),
    "generate: a path of another vendor": Bad(lambda c: c.generate(FOX, model="sora@kling"), "model"),
    "generate: a length that it cannot make": Bad(
        lambda c: c.generate(FOX, model="veo-3.1", duration=7), "duration", mv.UnsupportedFeature
    ),
    "generate: two things that it cannot make": Bad(
        lambda c: c.generate(FOX, model="sora-2", duration=7, resolution="4k"),
        "duration resolution",
        mv.UnsupportedFeature,
    ),
    "generate: a last frame alone": Bad(lambda c: c.generate(FOX, last_frame=png()), "last_frame"),
    "generate: a mode of nothing": Bad(lambda c: c.generate(FOX, mode="edit"), "mode"),
    "generate: a size and another shape": Bad(
        lambda c: c.generate(FOX, resolution="1920x1080", aspect_ratio="9:16"), "aspect_ratio"
    ),
    "generate: shots of another length": Bad(
        lambda c: c.generate(FOX, duration=9, shots=[mv.Shot("a", 4)]), "duration"
    ),
    "generate: a file to be written where there is none": Bad(
        lambda c: c.generate(FOX, model="veo-3.1", save_to="/proc/none/x.mp4"), "save_to"
    ),
    "generate: a folder that is no folder": Bad(
        lambda c: c.generate(FOX, model="veo-3.1", save_to="/dev/null/x.mp4"), "save_to"
    ),
    "generate: more than a budget": Bad(lambda c: c.generate(FOX, budget=1), "", mv.BudgetExceeded),
    "generate: a watermark that is not to be had": Bad(
        lambda c: c.generate(FOX, model="sora-2", watermark=False, fps=200), "fps", mv.UnsupportedFeature
    ),
    "submit: a plan and a model": Bad(lambda c: c.submit(plan(), model="kling"), "model"),
    "submit: a plan and two fields that are fixed": Bad(lambda c: c.submit(plan(), fps=24, count=2), "fps count"),
    "submit: a plan and a bad deadline": Bad(lambda c: c.submit(plan(), deadline="x"), "deadline"),
    "submit: a plan, and fixed and bad fields": Bad(lambda c: c.submit(plan(), deadline=-1, fps=24), "deadline fps"),
    "plan: a text for a day": Bad(lambda c: c.plan(FOX, as_of="2026-08-01"), "as_of"),
    "plan: a number for a day": Bad(lambda c: c.plan(FOX, as_of=20260801), "as_of"),
    "plan: a bad day and a bad prompt": Bad(lambda c: c.plan("", as_of=5), "as_of prompt"),
    "quote: two faults": Bad(lambda c: c.quote("", count=0), "prompt count"),
    "quote: without a provider": Bad(lambda c: bare().quote(FOX), "", mv.NoProviderConfigured),
    "resume: nothing": Bad(lambda c: c.resume(None), "ref"),
    "resume: a number": Bad(lambda c: c.resume(5), "ref"),
    "resume: bytes": Bad(lambda c: c.resume(b"{}"), "ref"),
    "resume: a mapping": Bad(lambda c: c.resume({"job_id": "mv-1"}), "ref"),
    "resume: an empty text": Bad(lambda c: c.resume(""), "ref"),
    "resume: an id that nobody knows": Bad(lambda c: c.resume("mv-0123456789abcdef0123"), "ref"),
    "resume: an empty object": Bad(lambda c: c.resume("{}"), "ref"),
    "resume: a list": Bad(lambda c: c.resume("[]"), "ref"),
    "resume: a hundred thousand brackets": Bad(lambda c: c.resume("[" * 100_000), "ref"),
    "resume: a megabyte": Bad(lambda c: c.resume("x" * 1_000_000), "ref"),
    "resume: half a character": Bad(lambda c: c.resume("\ud800"), "ref"),
    "resume: not a number": Bad(lambda c: c.resume('{"format": NaN}'), "ref"),
    "recover: text for seconds": Bad(lambda c: c.recover(deadline="60"), "deadline"),
    "recover: less than nothing": Bad(lambda c: c.recover(deadline=-1), "deadline"),
    "recover: not a number": Bad(lambda c: c.recover(deadline=NAN), "deadline"),
    "recover: for ever": Bad(lambda c: c.recover(deadline=INF), "deadline"),
    "recover: yes": Bad(lambda c: c.recover(deadline=True), "deadline"),
    "nudge: nothing": Bad(lambda c: c.nudge(None), "event"),
    "nudge: a text": Bad(lambda c: c.nudge("evt_1"), "event"),
    "nudge: an event as it came": Bad(lambda c: c.nudge({"id": "evt_1"}), "event"),
    "extend: nothing": Bad(lambda c: c.extend(None, seconds=7), "video"),
    "extend: a path": Bad(lambda c: c.extend("clip.mp4", seconds=7), "video"),
    "extend: text for seconds": Bad(lambda c: c.extend(video(), seconds="7"), "source_video duration"),
    "edit: nothing": Bad(lambda c: c.edit(None, "snow"), "video"),
    "edit: a number": Bad(lambda c: c.edit(5, "snow"), "video"),
    "edit: a file that is gone": Bad(lambda c: c.edit(video(), "snow"), "source_video"),
    "edit: a bad mode": Bad(lambda c: c.edit(video(), "", mode="blend"), "source_video mode prompt"),
    "create_character: a name of two words": Bad(lambda c: c.create_character("two words", clip()), "name"),
    "create_character: nothing at all": Bad(lambda c: c.create_character(None, None), "name video"),
    "create_character: a file that is gone": Bad(lambda c: c.create_character("Mara", "gone.mp4"), "video"),
    "create_character: an address": Bad(lambda c: c.create_character("Mara", "https://x.example/a.mp4"), "video"),
    "create_character: half a clip": Bad(lambda c: c.create_character("Mara", MP4), "video"),
    "create_character: nobody's name": Bad(lambda c: c.create_character("Mara", clip(), provider="mars"), "provider"),
    "create_character: a number for a provider": Bad(
        lambda c: c.create_character("Mara", clip(), provider=5), "provider"
    ),
    "create_character: one who keeps none": Bad(
        lambda c: c.create_character("Mara", clip(), provider="vertex"), "provider", mv.UnsupportedFeature
    ),
    "jobs: a state that is none": Bad(lambda c: c.jobs("running"), "state"),
    "jobs: none at most": Bad(lambda c: c.jobs(limit=0), "limit"),
    "jobs: since a word": Bad(lambda c: c.jobs(since="yesterday"), "since"),
    "jobs: three faults": Bad(lambda c: c.jobs(5, limit="1", since=5), "state limit since"),
    "AsyncClient: a number of providers": Bad(lambda c: lax.AsyncClient(providers=5), "providers"),
    "AsyncClient: a name for a provider": Bad(lambda c: lax.AsyncClient(providers=["kling"]), "providers"),
    "AsyncClient: a class for a provider": Bad(lambda c: lax.AsyncClient(providers=[mv.Kling]), "providers"),
    "AsyncClient: nothing beside a provider": Bad(lambda c: lax.AsyncClient(providers=[kling(), None]), "providers"),
    "AsyncClient: two of one name": Bad(lambda c: lax.AsyncClient(providers=[kling(), kling()]), "providers"),
    "AsyncClient: a path for a ledger": Bad(lambda c: lax.AsyncClient(ledger=Path("x.db")), "ledger"),
    "AsyncClient: a number for a home": Bad(lambda c: lax.AsyncClient(home=5), "home"),
    "AsyncClient: a home with a zero byte": Bad(lambda c: lax.AsyncClient(home="a\0b"), "home"),
    "AsyncClient: a number for a policy": Bad(lambda c: lax.AsyncClient(policy=5), "policy"),
    "AsyncClient: a class for a policy": Bad(lambda c: lax.AsyncClient(policy=mv.Scorecard), "policy"),
    "AsyncClient: a text for a catalog": Bad(lambda c: lax.AsyncClient(catalog="mine.toml"), "catalog"),
    "AsyncClient: a number for a proxy": Bad(lambda c: lax.AsyncClient(proxy=5), "proxy"),
    "AsyncClient: a proxy of another kind": Bad(lambda c: lax.AsyncClient(proxy="ftp://proxy.example"), "proxy"),
    "AsyncClient: a proxy without a host": Bad(lambda c: lax.AsyncClient(proxy="http://"), "proxy"),
    "AsyncClient: a yes for certificates": Bad(lambda c: lax.AsyncClient(ssl_context=True), "ssl_context"),
    "AsyncClient: a number for a clock": Bad(lambda c: lax.AsyncClient(clock=5), "clock"),
    "AsyncClient: many at once": Bad(
        lambda c: lax.AsyncClient(providers=5, ledger="x.db", home=5, policy=5, proxy=5),
        "providers ledger home policy proxy",
    ),
    "sandbox: a text for a day": Bad(lambda c: lax.AsyncClient.sandbox(as_of="today"), "as_of"),
    "sandbox: a text for a latency": Bad(lambda c: lax.AsyncClient.sandbox(latency="1"), "latency"),
    "sandbox: less than no latency": Bad(lambda c: lax.AsyncClient.sandbox(latency=-1), "latency"),
    "sandbox: a number for an emulator": Bad(lambda c: lax.AsyncClient.sandbox(emulator=5), "emulator"),
    "fund: a number": Bad(lambda c: c.credits.fund(5), "amount"),
    "fund: less than nothing": Bad(lambda c: c.credits.fund(mv.usd("-1")), "amount"),
    "fund: two faults": Bad(lambda c: c.credits.fund(0.5, note=5), "amount note"),
    "budget: a text": Bad(lambda c: c.credits.budget("5"), "amount"),
    "budget: everything at once": Bad(
        lambda c: c.credits.budget(-1, tags=5, model=5, provider="", period="week"),
        "amount tags model provider period",
    ),
    "remove_budget: one that is not set": Bad(lambda c: c.credits.remove_budget("ever"), "budget"),
    "remove_budget: a number": Bad(lambda c: c.credits.remove_budget(5), "budget"),
    "spent: by a colour": Bad(lambda c: c.credits.spent("colour"), "by"),
    "spent: in no time": Bad(lambda c: c.credits.spent(since="x", until=5), "since until"),
    "statement: since a number": Bad(lambda c: c.credits.statement(since=5), "since"),
    "statement: from later on": Bad(lambda c: c.credits.statement(NOW, NOW - dt.timedelta(1)), "since"),
    "export: another kind of file": Bad(lambda c: c.credits.export("november.txt"), "path"),
    "export: a number": Bad(lambda c: c.credits.export(5), "path"),
    "resolve: everything at once": Bad(
        lambda c: c.credits.resolve("none", outcome="paid", by="", note=5), "attempt_id outcome by note"
    ),
    "resolve: an amount that is none": Bad(
        lambda c: c.credits.resolve(5, outcome="charged", amount="x", by="me", note="seen"), "attempt_id amount"
    ),
    "refund: of nobody": Bad(lambda c: c.credits.refund("x", mv.usd("1"), note="mail"), "attempt_id"),
    "refund: everything at once": Bad(lambda c: c.credits.refund("", 5, note=""), "attempt_id amount note"),
    "Kling: no key": Bad(lambda c: lax.Kling(), "api_key"),
    "Kling: a number for a key": Bad(lambda c: lax.Kling(api_key=5), "api_key"),
    "Kling: a key that no header carries": Bad(lambda c: lax.Kling(api_key="a\nb"), "api_key"),
    "Kling: half a pair": Bad(lambda c: lax.Kling(access_key="a"), "secret_key"),
    "Kling: the other half": Bad(lambda c: lax.Kling(secret_key="a"), "access_key"),
    "Kling: a pair on the new protocol": Bad(
        lambda c: lax.Kling(access_key="a", secret_key="b", dialect="new"), "dialect"
    ),
    "Kling: everything at once": Bad(
        lambda c: lax.Kling(
            api_key="a b", region="mars", dialect="old", name="a b", slots=0, unit_price=5, base_url="ftp://x"
        ),
        "api_key region dialect name slots unit_price base_url",
    ),
    "Kling: in the clear": Bad(lambda c: lax.Kling(api_key="a", base_url="http://kling.example"), "base_url"),
    "Kling: a key in the address": Bad(lambda c: lax.Kling(api_key="a", base_url="https://u:p@h.example"), "base_url"),
    "Kling: a number for an address": Bad(lambda c: lax.Kling(api_key="a", base_url=5), "base_url"),
    "Veo: neither project nor key": Bad(lambda c: lax.Veo(), "project"),
    "Veo: both project and key": Bad(lambda c: lax.Veo(project="p", api_key="k"), "project"),
    "Veo: a number for a project": Bad(lambda c: lax.Veo(project=5), "project"),
    "Veo: a project that climbs": Bad(lambda c: lax.Veo(project="p/../q"), "project"),
    "Veo: a number for a place": Bad(lambda c: lax.Veo(project="p", location=5), "location"),
    "Veo: a place that climbs": Bad(lambda c: lax.Veo(project="p", location="../x"), "location"),
    "Veo: a bucket of somebody else's": Bad(lambda c: lax.Veo(project="p", output_uri="s3://x"), "output_uri"),
    "Veo: a number for a bucket": Bad(lambda c: lax.Veo(project="p", output_uri=5), "output_uri"),
    "Veo: a text for credentials": Bad(lambda c: lax.Veo(project="p", credentials="ya29.token"), "credentials"),
    "Veo: credentials beside a key": Bad(lambda c: lax.Veo(api_key="k", credentials=lax.BearerToken("t")), "api_key"),
    "BearerToken: a number": Bad(lambda c: lax.BearerToken(5), "token"),
    "BearerToken: nothing": Bad(lambda c: lax.BearerToken(" "), "token"),
    "OpenAIVideos: no key": Bad(lambda c: lax.OpenAIVideos(), "api_key"),
    "OpenAIVideos: an empty key": Bad(lambda c: lax.OpenAIVideos(api_key=" "), "api_key"),
    "OpenAIVideos: a dialect that is none": Bad(lambda c: lax.OpenAIVideos(api_key="k", dialect="azure"), "dialect"),
    "OpenAIVideos: models at OpenAI itself": Bad(lambda c: lax.OpenAIVideos(api_key="k", models={}), "models"),
    "OpenAIVideos: a number for models": Bad(lambda c: lax.OpenAIVideos(api_key="k", base_url=URL, models=5), "models"),
    "OpenAIVideos: a number for a model": Bad(
        lambda c: lax.OpenAIVideos(api_key="k", base_url=URL, models={"wan": 5}), "models"
    ),
    "OpenAIVideos: a text for slots": Bad(lambda c: lax.OpenAIVideos(api_key="k", slots="5"), "slots"),
    "Ledger: nothing": Bad(lambda c: lax.Ledger(None), "path"),
    "Ledger: a number": Bad(lambda c: lax.Ledger(5), "path"),
    "verify_kling: no headers": Bad(
        lambda c: lax.verify_kling(KEY, None, b"{}", now=0),
        "",
        mv.AuthenticationFailed,
    ),
    "verify_kling: headers of others": Bad(
        lambda c: lax.verify_kling(KEY, {"host": "x"}, b"{}", now=0), "", mv.AuthenticationFailed
    ),
    "verify_openai: a text for a body": Bad(lambda c: lax.verify_openai(KEY, HEADERS, "{}", now=0), "body"),
    "verify_openai: no secret": Bad(lambda c: lax.verify_openai(None, HEADERS, b"{}", now=0), "secret"),
    "verify_openai: a secret that is none": Bad(lambda c: lax.verify_openai("whsec_", HEADERS, b"{}", now=0), "secret"),
    "Catalog: no such model": Bad(lambda c: c.catalog.check(lax.VideoRequest(FOX), "veo-9"), "model"),
    "Catalog: no such mode": Bad(lambda c: c.catalog.durations("veo-3.1@vertex", mode="blend"), "mode"),
    "JobRef: a number": Bad(lambda c: lax.JobRef.from_json(5), "ref"),
    "VideoRequest: a budget beyond money": Bad(lambda c: lax.VideoRequest(FOX, budget=Decimal("1e999")), "budget"),
}


def png() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (1280, 720)).save(out, format="PNG")
    return out.getvalue()


def clip() -> bytes:
    from orders import plain

    return plain(1280, 720, 48, 24, audio=False)


def kling() -> mv.Kling:
    return mv.Kling(api_key="k")


def bare() -> mv.AsyncClient:
    return mv.AsyncClient(providers=[])


def test_there_are_more_than_a_hundred_and_every_public_call_has_some() -> None:
    assert len(BAD) > 150
    calls = {name.partition(":")[0] for name in BAD}
    methods = {name for name, _ in inspect.getmembers(mv.AsyncClient, callable) if not name.startswith("_")}
    assert methods - {"aclose", "health"} <= calls


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where nothing may be written, in an environment that configures nobody."""
    for name in ("KLING_API_KEY", "KLINGAI_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.setenv("MULTIVIDEO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert sorted(tmp_path.rglob("*")) == []


async def made(bad: Bad, client: mv.AsyncClient) -> None:
    """The call, to its end."""
    found = bad.call(client)
    if inspect.isawaitable(found):
        await found


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_what_cannot_be_is_told_by_name_before_anything_is_sent_or_written(bad: Bad, home: Path) -> None:
    clock = VirtualClock()
    emulator = Deaf(clock=clock)
    client = mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=home)
    with pytest.raises(mv.MultiVideoError) as caught:
        await made(bad, client)
    error = caught.value
    assert isinstance(error, bad.kind)
    assert {problem.field for problem in getattr(error, "problems", ())} == set(bad.fields.split())
    assert (error.charged, error.fault, error.retryable) == ("no", "caller", False)
    assert error.what
    assert error.allowed or error.hint
    assert len(str(error)) < 6000
    assert error.job_id is None
    assert emulator.count() == 0
