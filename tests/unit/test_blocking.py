"""The blocking client and the portal under it, against the emulator in this process."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import inspect
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.abc import TaskStatus
from attrs import evolve

import multivideo as mv
from multivideo.portal import Portal
from multivideo.sandbox import Emulator, Reply
from multivideo.sandbox.render import Clip, render

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_blocking.py"

rendered = lru_cache(render)


def one_for_all(clip: Clip) -> bytes:
    """A real file of the right size and length, made once."""
    return rendered(evolve(clip, prompt="any", seed=0))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    opened = Emulator(latency=0, render=one_for_all)
    yield opened
    opened.close()


@pytest.fixture
def client(tmp_path: Path, emulator: Emulator) -> Iterator[mv.Client]:
    with mv.Client.sandbox(home=tmp_path, emulator=emulator) as opened:
        yield opened


def cheap(**more: Any) -> Any:
    """The smallest clip there is, looked at often."""
    return {"model": "veo-3.1-lite", "duration": 4, "poll_interval": 0.02, **more}


def interrupt_main() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


async def nothing_to_close() -> None:
    pass


# What it does


def test_one_blocking_call_makes_a_measured_file(tmp_path: Path) -> None:
    with mv.Client.sandbox(home=tmp_path, latency=0) as client:
        video = client.generate("a fox in snow", **cheap(save_to=tmp_path / "fox.mp4"))
    assert video.path == tmp_path / "fox.mp4"
    assert video.path.stat().st_size == video.size_bytes
    assert (video.duration, video.has_audio, video.check.ok) == (4.0, True, True)


def test_planning_and_looking_around_start_no_thread_and_write_nothing(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    with mv.Client.sandbox(home=tmp_path / "home", latency=0) as client:
        plan = client.plan("a fox in snow", model="veo-3.1", duration=8)
        assert client.quote("a fox in snow", model="veo-3.1", duration=8) == plan.quote
        assert client.catalog.as_of == plan.as_of
        assert client.jobs() == ()
        assert [account.name for account in client.providers] == ["openai", "kling", "vertex"]
        assert repr(client) == "Client(openai, kling, vertex)"
        assert not set(threading.enumerate()) - before
    assert not (tmp_path / "home").exists()


def test_a_plan_runs_as_it_was_made(client: mv.Client) -> None:
    plan = client.plan("a fox in snow", **cheap())
    assert client.generate(plan).plan == plan


def test_a_submitted_job_tells_its_events_and_can_then_be_waited_for(client: mv.Client) -> None:
    job = client.submit("a fox in snow", **cheap())
    assert (job.state, job.ref.job_id) == ("open", job.id)
    kinds = [type(event).__name__ for event in job]
    assert kinds[:2] == ["Planned", "Submitted"]
    assert kinds[-1] == "Finished"
    assert job.wait().job_id == job.id
    assert client.jobs("finished") == (job,)
    assert client.jobs("open") == ()


def test_events_that_are_not_read_to_the_end_leave_the_job_as_it_is(client: mv.Client) -> None:
    job = client.submit("a fox in snow", **cheap())
    assert isinstance(next(iter(job)), mv.Planned)
    assert job.wait().job_id == job.id


def test_status_and_cancel_each_ask_the_vendor(client: mv.Client) -> None:
    job = client.submit("a fox in snow", **cheap())
    with pytest.raises(mv.UnsupportedFeature, match="no way to stop a job"):
        job.cancel()
    assert isinstance(job.status(), mv.JobStatus)


def test_another_client_goes_on_from_the_reference_of_a_job(tmp_path: Path, emulator: Emulator) -> None:
    with mv.Client.sandbox(emulator=emulator, home=tmp_path) as first:
        stored = first.submit("a fox in snow", **cheap()).ref.to_json()
    with mv.Client.sandbox(emulator=emulator, home=tmp_path) as second:
        video = second.resume(stored).wait()
    assert video.path.is_file()
    assert emulator.count() == 1


def test_errors_pass_through_as_they_are(client: mv.Client, emulator: Emulator) -> None:
    with pytest.raises(mv.UnsupportedFeature) as refused:
        client.generate("a fox in snow", model="veo-3.1", duration=7)
    assert str(refused.value).startswith("veo-3.1 cannot make a 7 s clip.\n  asked:   duration=7")
    emulator.fault("vertex", submit=403)
    with pytest.raises(mv.AuthenticationFailed) as forbidden:
        client.generate("a fox in snow", **cheap())
    assert (forbidden.value.provider, forbidden.value.charged) == ("vertex", "no")


def test_the_job_of_a_missed_deadline_can_be_waited_for_in_blocking_calls(client: mv.Client) -> None:
    job = client.submit("a fox in snow", **cheap())
    with pytest.raises(mv.StillRunning) as late:
        job.wait(deadline=0)
    assert late.value.job == job
    assert late.value.job.wait().job_id == job.id


# Where it works


def test_several_threads_share_a_client(client: mv.Client, emulator: Emulator) -> None:
    with ThreadPoolExecutor(4) as threads:
        videos = list(threads.map(lambda number: client.generate(f"fox {number}", **cheap()), range(4)))
    assert sorted(video.prompt or "" for video in videos) == [f"fox {number}" for number in range(4)]
    assert len({video.path for video in videos}) == emulator.count() == 4


def test_it_works_inside_a_running_event_loop_as_in_a_notebook(client: mv.Client) -> None:
    async def cell() -> mv.Video:
        return client.generate("a fox in snow", **cheap())

    assert asyncio.run(cell()).check.ok


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of what this test is about
def test_a_client_that_was_used_says_so_in_a_fork_instead_of_hanging(client: mv.Client) -> None:
    client.generate("a fox in snow", **cheap())
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            client.close()
            client.generate("a fox in snow", **cheap())
        except mv.InvalidRequest as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert said.read().startswith(
            "This client was used before the process forked.\n  asked:   client=used in a fork"
        )
    os.waitpid(child, 0)
    assert client.generate("a fox in snow", **cheap()).check.ok


def test_a_call_from_its_own_listener_is_an_error_instead_of_a_deadlock(client: mv.Client) -> None:
    caught: list[str] = []

    def listener(event: mv.Event) -> None:
        for act in (lambda: client.generate("again", **cheap()), client.close):
            with pytest.raises(mv.InvalidRequest) as error:
                act()
            caught.append(error.value.what)

    client.generate("a fox in snow", **cheap(on_event=listener))
    assert set(caught) == {"A blocking client cannot be called from its own on_event: it would wait for itself."}


def test_a_listener_that_exits_ends_the_call_and_not_the_client(client: mv.Client) -> None:
    def listener(event: mv.Event) -> None:
        sys.exit(3)

    with pytest.raises(SystemExit):
        client.generate("a fox in snow", **cheap(on_event=listener))
    assert client.generate("a fox in snow", **cheap()).check.ok


# How it ends


def test_a_closed_client_says_so_and_may_be_closed_again(client: mv.Client) -> None:
    client.generate("a fox in snow", **cheap())
    client.close()
    client.close()
    with pytest.raises(mv.InvalidRequest, match="This client is closed"):
        client.generate("a fox in snow", **cheap())


def test_closing_ends_the_call_of_another_thread_and_keeps_its_job(client: mv.Client, emulator: Emulator) -> None:
    accepted = threading.Event()
    emulator.fault("vertex", stuck=True)

    def listener(event: mv.Event) -> None:
        if isinstance(event, mv.Submitted):
            accepted.set()

    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(client.generate, "a fox in snow", **cheap(on_event=listener))
        assert accepted.wait(30)
        client.close()
        with pytest.raises(mv.InvalidRequest, match="closed while the call ran"):
            call.result(30)
    assert len(client.jobs("open")) == 1


def test_a_client_that_is_dropped_ends_its_thread(tmp_path: Path, emulator: Emulator) -> None:
    def used_and_dropped() -> list[threading.Thread]:
        before = set(threading.enumerate())
        client = mv.Client.sandbox(home=tmp_path, emulator=emulator)
        client.generate("a fox in snow", **cheap())
        began = [thread for thread in set(threading.enumerate()) - before if thread.name == "multivideo"]
        del client  # not before: its thread ends at once
        return began

    [thread] = used_and_dropped()
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


def test_a_forgotten_client_does_not_hold_up_the_interpreter(tmp_path: Path) -> None:
    script = """
import sys, multivideo as mv
client = mv.Client.sandbox(home=sys.argv[1], latency=0)
client.submit("a fox in snow", model="veo-3.1-lite", duration=4)
print("end")
"""
    command = [sys.executable, "-W", "default", "-c", script, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "end\n", "")


# Ctrl-C


def test_ctrl_c_cancels_the_work_and_waits_for_what_is_shielded() -> None:
    recorded: list[str] = []

    async def canary(noticed: anyio.Event, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            noticed.set()

    async def paid() -> None:
        noticed = anyio.Event()
        async with anyio.create_task_group() as tasks:
            await tasks.start(canary, noticed)
            with anyio.CancelScope(shield=True):
                interrupt_main()
                await noticed.wait()
                recorded.append("the answer of a paid submit")
            await anyio.sleep_forever()

    portal = Portal(nothing_to_close)
    with pytest.raises(KeyboardInterrupt):
        portal.call(paid)
    assert recorded == ["the answer of a paid submit"]
    portal.close()


class InterruptedAtTheCreate(Emulator):
    """Its user presses Ctrl-C while the answer of the paid call is on its way."""

    handled = threading.Event()

    async def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        reply = await super().__call__(method, path, headers, body)
        if path.endswith(":predictLongRunning") and not self.handled.is_set():
            interrupt_main()
            await anyio.to_thread.run_sync(self.handled.wait)
        return reply


@pytest.fixture
def on_ctrl_c() -> Iterator[Callable[[threading.Event], None]]:
    def tell(handled: threading.Event) -> None:
        def handler(number: int, frame: FrameType | None) -> None:
            handled.set()
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, handler)

    before = signal.getsignal(signal.SIGINT)
    yield tell
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_during_a_paid_submit_does_not_lose_the_job(
    tmp_path: Path, on_ctrl_c: Callable[[threading.Event], None]
) -> None:
    emulator = InterruptedAtTheCreate(latency=0, render=one_for_all)
    on_ctrl_c(emulator.handled)
    with mv.Client.sandbox(home=tmp_path, emulator=emulator) as client:
        with pytest.raises(KeyboardInterrupt):
            client.generate("a fox in snow", **cheap())
        [job] = client.jobs()
        assert client.resume(job.ref.to_json()).wait().check.ok
    assert emulator.count() == 1
    emulator.close()


def test_ctrl_c_during_the_wait_leaves_a_job_that_can_be_waited_for(client: mv.Client, emulator: Emulator) -> None:
    async def listener(event: mv.Event) -> None:
        if isinstance(event, mv.Submitted):
            interrupt_main()
            await anyio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        client.generate("a fox in snow", **cheap(on_event=listener))
    [job] = client.jobs("open")
    assert job.wait().check.ok
    assert emulator.count() == 1


# The twin and its origin


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("make_blocking", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_file_is_what_the_tool_writes() -> None:
    assert tool().main(["--check"]) == 0


def test_a_changed_copy_is_found_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "blocking.py"
    make = tool()
    text = make.written()
    copy.write_text(text.replace("def quote(", "def price("), encoding="utf-8")
    assert make.main(["--check", str(copy)]) == 1
    assert "run python tools/make_blocking.py" in capsys.readouterr().err
    assert make.main([str(copy)]) == 0
    assert copy.read_text(encoding="utf-8") == text


RENAMED = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__"}


def public_names(cls: type) -> list[str]:
    dunders = {"__init__", "__aenter__", "__aexit__", "__aiter__"}
    return [name for name in vars(cls) if not name.startswith("_") or (name in dunders)]


def shape(member: Any) -> Any:
    """What a caller sees of it: a property as such, a function by its parameters and what it returns."""
    if isinstance(member, property):
        return "property", as_twin(member.fget.__annotations__["return"])
    signature = inspect.signature(getattr(member, "__func__", member))
    parameters = [(p.name, p.kind, p.annotation, p.default) for p in signature.parameters.values()]
    return type(member), parameters, as_twin(signature.return_annotation)


def as_twin(annotation: str) -> str:
    return re.sub(r"\bJob\b", "BlockingJob", annotation).replace("AsyncIterator", "Iterator")


@pytest.mark.parametrize(
    ("origin", "twin", "names"),
    [
        (mv.AsyncClient, mv.Client, public_names(mv.AsyncClient)),
        (mv.Job, mv.BlockingJob, ["ref", "state", "status", "wait", "cancel", "__aiter__"]),
    ],
)
def test_every_public_name_has_its_twin_with_the_same_signature(origin: type, twin: type, names: list[str]) -> None:
    assert len(names) > 5
    for name in names:
        mine = vars(twin)[RENAMED.get(name, name)]
        assert shape(mine) == shape(vars(origin)[name]), name
        assert not inspect.iscoroutinefunction(getattr(mine, "__func__", mine))


@pytest.mark.parametrize("twin", [mv.Client, mv.BlockingJob])
def test_no_docstring_of_a_twin_speaks_of_awaiting(twin: type) -> None:
    texts = [inspect.getdoc(member) or "" for member in (twin, *vars(twin).values())]
    assert not [text for text in texts if re.search(r"\bawait|\basync\b|aclose", text)]
    assert "on_event` is called on a thread" in (mv.Client.__doc__ or "")
