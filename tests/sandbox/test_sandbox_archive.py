"""The emulator's file: what one process was told, the next one knows."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field
from sandbox_calls import Answer, Caller, instant, picture

from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator, State
from multivideo.sandbox.archive import KEPT_S
from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.packing import pack_clips, unpack_clips
from multivideo.sandbox.render import render

pytestmark = pytest.mark.anyio

START = 1_793_527_200.0  # 2026-11-01 10:00 UTC
GEMINI = "/gemini/v1beta"
GS = {"storageUri": "gs://mine/runs"}


@define
class Processes:
    """Emulators that share a file, each with a clock of its own that begins `after` seconds after the first one's."""

    path: Path
    _open: list[Emulator] = field(factory=list)
    _over: threading.Event = field(factory=threading.Event)

    def new(self, after: float = 0.0, **options: Any) -> Caller:
        clock = VirtualClock(START + after)
        emulator = Emulator(clock=clock, **{"latency": 60.0, "render": instant, **options})
        emulator.keep_in(self.path)
        self._open.append(emulator)
        return Caller(emulator, clock)

    def never(self, clip: Clip) -> bytes:
        """A renderer that does not come to its end as long as its process lives."""
        self._over.wait()
        return instant(clip)

    def close(self) -> None:
        self._over.set()
        for emulator in self._open:
            emulator.close()

    def write(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute(statement, values)

    def count(self, table: str) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path / "home" / "emulator.sqlite")
    yield found
    found.close()


# The life of a job at each door: how it is ordered, what it is now, and where its file lies once it is done.


async def openai(call: Caller, job: str) -> str | None:
    video = (await call("GET", f"/openai/v1/videos/{job}")).json
    return f"/openai/v1/videos/{job}/content" if video["status"] == "completed" else None


async def kling(call: Caller, job: str) -> str | None:
    [task] = (await call("GET", f"/kling/tasks?task_ids={job}")).json["data"]
    return call.link(task["outputs"][0]["url"]) if task["status"] == "succeeded" else None


async def legacy(call: Caller, job: str) -> str | None:
    task = (await call("GET", f"/kling/v1/videos/text2video/{job}")).json["data"]
    return call.link(task["task_result"]["videos"][0]["url"]) if task["task_status"] == "succeed" else None


async def vertex(call: Caller, job: str) -> str | None:
    model = "/vertex/v1/" + job.partition("/operations/")[0]
    told = (await call("POST", f"{model}:fetchPredictOperation", {"operationName": job})).json
    if "done" not in told:
        return None
    bucket, _, name = told["response"]["videos"][0]["gcsUri"].removeprefix("gs://").partition("/")
    return f"/vertex/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}?alt=media"


async def gemini(call: Caller, job: str) -> str | None:
    told = (await call("GET", f"{GEMINI}/{job}", headers={"x-goog-api-key": "k"})).json
    if "done" not in told:
        return None
    uri: str = told["response"]["generateVideoResponse"]["generatedSamples"][0]["video"]["uri"]
    return uri.removeprefix("https://generativelanguage.googleapis.com/v1beta").join([GEMINI, ""])


ORDERS: Mapping[str, Callable[[Caller], Awaitable[Answer]]] = {
    "openai": lambda call: call.openai(),
    "kling": lambda call: call.kling(),
    "legacy": lambda call: call("POST", "/kling/v1/videos/text2video", {"prompt": "a fox", "model_name": "kling-v3"}),
    "vertex": lambda call: call.veo(**GS),
    "gemini": lambda call: call(
        "POST",
        f"{GEMINI}/models/veo-3.1-generate-preview:predictLongRunning",
        {"instances": [{"prompt": "a fox"}]},
        headers={"x-goog-api-key": "k"},
    ),
}
LOOKS = {"openai": openai, "kling": kling, "legacy": legacy, "vertex": vertex, "gemini": gemini}


async def looked(call: Caller, door: str, job: str) -> str | None:
    """The second look, after a moment: of what nobody has rendered yet, the first one begins the rendering."""
    await LOOKS[door](call, job)
    await call.clock.sleep(0.1)  # time stands still while files are rendered
    return await LOOKS[door](call, job)


def id_of(answer: Answer) -> str:
    told = answer.json
    found = told.get("id") or told.get("name") or told["data"].get("id") or told["data"]["task_id"]
    return str(found)


def own_headers(door: str) -> dict[str, str]:
    return {"x-goog-api-key": "k"} if door == "gemini" else {}


async def fetched(call: Caller, door: str, link: str) -> bytes:
    headers = {"host": "127.0.0.1:8090", **own_headers(door)}
    if door in ("openai", "vertex"):
        headers["authorization"] = "Bearer key-a"
    reply = await call.emulator("GET", link, headers, b"")
    assert reply.status == 200
    return await reply.read()


@pytest.mark.parametrize("door", ORDERS)
async def test_a_job_whose_process_died_is_done_by_the_clock_and_its_file_is_the_same(
    door: str, processes: Processes
) -> None:
    killed = processes.new(render=processes.never)
    job = id_of(await ORDERS[door](killed))
    assert await looked(processes.new(after=59), door, job) is None
    late, later = processes.new(after=61), processes.new(after=600)
    links = [await looked(call, door, job) for call in (late, later)]
    assert links[0] is not None
    assert links[0] == links[1]
    files = [await fetched(call, door, links[0]) for call in (late, later)]
    assert files == [instant(killed.emulator.jobs()[0].clips[0])] * 2
    assert killed.emulator.charged() == late.emulator.charged() == later.emulator.charged() > 0


@pytest.mark.parametrize("door", ORDERS)
async def test_a_link_that_was_given_out_holds_in_the_next_process(door: str, processes: Processes) -> None:
    first = processes.new(latency=0.0)
    job = id_of(await ORDERS[door](first))
    link = await looked(first, door, job)
    assert link is not None
    assert await fetched(processes.new(after=5), door, link) == await fetched(first, door, link)


@pytest.mark.parametrize("door", ORDERS)
async def test_ids_do_not_repeat_though_every_process_has_the_same_seed(door: str, processes: Processes) -> None:
    ids = [id_of(await ORDERS[door](processes.new())) for _ in range(3)]
    assert len(set(ids)) == 3


async def test_processes_side_by_side_know_of_each_other(processes: Processes) -> None:
    one, two = processes.new(), processes.new()
    ids = [id_of(await call.openai()) for call in (one, two, one, two)]
    for call in (one, two):
        listed = (await call("GET", "/openai/v1/videos?order=asc")).json["data"]
        assert sorted(video["id"] for video in listed) == sorted(ids)
    await two.clock.sleep(61)
    assert (await two("DELETE", f"/openai/v1/videos/{ids[0]}")).json["deleted"] is True
    assert (await one("GET", f"/openai/v1/videos/{ids[0]}")).status == 404
    assert (await one("GET", f"/openai/v1/videos/{ids[1]}")).status == 200
    assert one.emulator.count() == two.emulator.count() == 4


async def test_klings_limits_hold_for_all_processes_together(processes: Processes) -> None:
    one, two = processes.new(kling_slots=2), processes.new(kling_slots=2)
    assert (await one.kling(options={"external_task_id": "mine"})).status == 200
    assert (await two.kling(options={"external_task_id": "mine"})).json["message"].endswith("already exists")
    assert (await two.kling()).status == 200
    assert (await one.kling()).json["code"] == 1303
    asked = "/kling/account/costs?start_time=1&end_time=2"
    left = [(await call("GET", asked)).json["data"]["resource_pack_subscribe_infos"] for call in (one, two)]
    assert left[0] == left[1]
    assert left[0][0]["remaining_quantity"] < 1_000_000


async def test_what_a_process_was_told_of_the_end_is_what_the_next_one_tells(processes: Processes) -> None:
    first = processes.new()
    job = id_of(await first.openai())
    await first.clock.sleep(100)
    ended = (await first("GET", f"/openai/v1/videos/{job}")).json
    made: list[Clip] = []

    def counted(clip: Clip) -> bytes:
        made.append(clip)
        return instant(clip)

    again = processes.new(after=1000, render=counted)
    assert (await again("GET", f"/openai/v1/videos/{job}")).json == ended
    assert made == []  # nobody asked for the file yet
    await again("GET", f"/openai/v1/videos/{job}/content")
    assert [clip.prompt for clip in made] == ["a fox"]


async def test_a_file_that_cannot_be_rendered_fails_in_the_next_process_too(processes: Processes) -> None:
    def broken(clip: Clip) -> bytes:
        raise ValueError("no")

    job = id_of(await processes.new(render=processes.never).openai())
    for after in (61, 99):
        later = processes.new(after=after, render=broken)
        assert await looked(later, "openai", job) is None
        video = (await later("GET", f"/openai/v1/videos/{job}")).json
        assert (video["status"], video["error"]["code"]) == ("failed", "video_generation_failed")


@pytest.mark.parametrize("prompt", ["video_generation_failed", "moderation_blocked"])
async def test_a_job_that_will_fail_fails_in_the_next_process(prompt: str, processes: Processes) -> None:
    job = id_of(await processes.new().openai(prompt))
    later = processes.new(after=61)
    assert (await later("GET", f"/openai/v1/videos/{job}")).json["error"]["code"] == prompt
    assert later.emulator.jobs()[0].state(later.clock.wall()) is State.FAILED


async def test_faults_go_with_their_job(processes: Processes) -> None:
    first = processes.new()
    job = id_of(await first.openai(fault="stuck"))
    later = processes.new(after=10_000)
    assert (await later("GET", f"/openai/v1/videos/{job}")).json["status"] == "in_progress"
    first.emulator.fault("openai", job=job, poll="503*9")
    assert (await later("GET", f"/openai/v1/videos/{job}")).status == 503


async def test_pictures_are_kept_once_and_seen_in_the_film_of_the_next_process(processes: Processes) -> None:
    first = processes.new()
    frame = {"image": {"bytesBase64Encoded": picture(640, 360), "mimeType": "image/png"}}
    for _ in range(2):
        started = await first.veo(more=frame, **GS)
    later = processes.new(after=61)
    assert await looked(later, "vertex", id_of(started)) is not None
    ordered, revived = first.emulator.jobs()[-1], later.emulator.jobs()[-1]
    assert revived.clips == ordered.clips
    assert revived.clips[0].first_frame == base64.b64decode(picture(640, 360))
    assert (revived.request, revived.cost) == (ordered.request, ordered.cost)
    assert (processes.count("pictures"), processes.count("shown")) == (1, 2)


def test_every_clip_comes_back_as_it_was() -> None:
    plain = Clip(model="m", prompt="\U0001f98a \udc00", seed=1, width=2, height=4, seconds=1.5, fps=24, audio=True)
    film = Film(source=b"file", width=2, height=4, seconds=0.1, fps=29.97, sound=False)
    clips = [
        plain,
        evolve(plain, first_frame=b"a", last_frame=b"b", references=(b"a", b"c"), flaws=("black", "silent")),
        evolve(plain, film=film, replayed=True, dubbed=True),
        evolve(plain, film=Film.of(evolve(plain, film=film, marked=True))),
    ]
    packed = pack_clips(clips)
    assert unpack_clips(packed) == tuple(clips)
    assert sorted(packed.pictures.values()) == [b"a", b"b", b"c", b"file"]


async def test_the_real_film_is_the_same_to_the_byte(processes: Processes) -> None:
    first, later = processes.new(render=render, latency=0), processes.new(after=9, render=render)
    job = id_of(await first("POST", "/openai/v1/videos", {"prompt": "a fox", "seconds": "4"}))
    links = [await looked(call, "openai", job) for call in (first, later)]
    films = [await fetched(call, "openai", link) for call, link in zip((first, later), links, strict=True) if link]
    assert len(films) == 2
    assert films[0] == films[1]
    assert films[0][4:8] == b"ftyp"


# The file itself


async def test_nothing_is_written_before_the_first_order(processes: Processes) -> None:
    call = processes.new()
    await call("GET", "/openai/v1/videos")
    await call("GET", "/kling/files/1.mp4?expires=1&sign=00", headers={})
    assert (await call.openai("sentinel_block")).status == 400
    assert call.emulator.jobs() == ()
    assert not processes.path.parent.exists()
    await call.openai()
    assert [path.name for path in processes.path.parent.iterdir()] == ["emulator.sqlite"]
    assert stat.S_IMODE(processes.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(processes.path.parent.stat().st_mode) == 0o700


async def test_jobs_that_were_over_a_week_ago_are_thrown_away_with_their_pictures(processes: Processes) -> None:
    frame = {"image": {"bytesBase64Encoded": picture(640, 360), "mimeType": "image/png"}}
    old = id_of(await processes.new().veo(more=frame, **GS))
    edge = processes.new(after=KEPT_S + 60)
    await edge.openai()
    assert await looked(edge, "vertex", old) is not None
    await processes.new(after=KEPT_S + 61).openai()
    later = processes.new(after=KEPT_S + 61)
    gone = await later.operation(Answer(200, json.dumps({"name": old}).encode(), None))  # type: ignore[arg-type]
    assert gone.status == 404
    assert {job.door for job in later.emulator.jobs()} == {"openai"}
    assert (processes.count("jobs"), processes.count("pictures"), processes.count("shown")) == (2, 0, 0)


def _another_layout(processes: Processes) -> None:
    processes.write("PRAGMA user_version = 99")


def _somebody_elses(processes: Processes) -> None:
    processes.write("PRAGMA application_id = 7")


def _no_database(processes: Processes) -> None:
    processes.path.write_bytes(b"not a database at all" * 500)


def _cut(processes: Processes) -> None:
    processes.path.write_bytes(processes.path.read_bytes()[: 4096 * 3])


def _nonsense(processes: Processes) -> None:
    processes.write("UPDATE jobs SET told = '{'")


@pytest.mark.parametrize("harm", [_another_layout, _somebody_elses, _no_database, _cut, _nonsense])
async def test_a_file_that_cannot_be_read_is_set_aside_with_a_word(
    harm: Callable[[Processes], None], processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    job = id_of(await processes.new().openai())
    processes.close()
    harm(processes)
    before = processes.path.read_bytes()
    call = processes.new(after=61)
    with caplog.at_level(logging.WARNING, "multivideo"):
        assert (await call("GET", f"/openai/v1/videos/{job}")).status == 404
    aside = processes.path.with_suffix(".1.old")
    assert aside.read_bytes() == before
    [said] = caplog.messages
    assert said.startswith("The emulator begins anew: emulator.sqlite cannot be read (")
    assert said.endswith(str(aside))
    assert (await call.openai()).status == 200
    assert processes.new().emulator.count() == 1


async def test_of_many_that_find_it_damaged_one_sets_it_aside(processes: Processes) -> None:
    await processes.new().openai()
    processes.close()
    _no_database(processes)
    calls = [processes.new() for _ in range(8)]
    threads = [threading.Thread(target=call.emulator.jobs) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in processes.path.parent.glob("*.old")] == ["emulator.1.old"]
    await calls[0].openai()
    assert [call.emulator.count() for call in calls] == [1] * 8


async def test_an_order_that_cannot_be_written_is_not_accepted(processes: Processes) -> None:
    call = processes.new()
    processes.path.parent.parent.mkdir(exist_ok=True)
    processes.path.parent.write_text("a file where the folder should be")
    refused = await call.openai()
    assert refused.status == 503
    assert "The emulator cannot use its file" in refused.error["message"]
    processes.path.parent.unlink()
    assert call.emulator.jobs() == ()


async def test_the_file_is_named_before_the_first_order(tmp_path: Path) -> None:
    emulator = Emulator(clock=VirtualClock(), render=instant)
    await Caller(emulator, VirtualClock()).openai()
    with pytest.raises(ValueError, match="jobs were accepted before"):
        emulator.keep_in(tmp_path / "emulator.sqlite")
    emulator.close()


async def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULTIVIDEO_HOME", str(tmp_path / "home"))
    emulator = Emulator(clock=VirtualClock(), render=instant)
    assert (await Caller(emulator, VirtualClock()).openai()).status == 200
    emulator.close()
    assert list(tmp_path.iterdir()) == []


# Real processes


def _victims(path: Path, *words: str) -> list[list[str]]:
    child = Path(__file__).with_name("archive_child.py")
    done = subprocess.run([sys.executable, str(child), str(path), *words], capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def test_a_kill_at_any_statement_loses_no_job_that_was_answered(processes: Processes) -> None:
    rows = _victims(processes.path, "kill")
    points = [int(point) for point, *_ in rows]
    assert points == list(range(1, len(rows) + 1))
    assert len(rows) > 20
    answered = [answer for _, ended, *answer in rows if answer]
    assert [ended for _, ended, *_ in rows] == ["killed"] * (len(rows) - 1) + ["done"]
    known = {job.id for job in processes.new().emulator.jobs()}
    assert {job for jobs in answered for job in jobs} <= known
    assert len(known) >= 2
    assert not list(processes.path.parent.glob("*.old"))


def test_processes_at_once_lose_no_job_and_give_no_id_twice(processes: Processes) -> None:
    rows = _victims(processes.path, "crowd", "4", "25")
    ids = list(itertools.chain.from_iterable(rows))
    assert len(ids) == len(set(ids)) == 100
    assert {job.id for job in processes.new().emulator.jobs()} == set(ids)
