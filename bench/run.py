"""What the library costs beside what it does: figures of one run, as ratios where two things can be compared.

Run by `nox -s bench`, or `python bench/run.py`. Nothing here fails because a machine is slow; read the figures.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import anyio
import ledger
import polling
import transport
from attrs import evolve

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from multivideo.sandbox.footage import measure
from multivideo.sandbox.jobs import Job
from multivideo.sandbox.render import Clip, Film, placeholder, render

HEAVY = ("httpx", "cattrs", "tenacity", "anyio", "av", "numpy", "PIL", "google", "rich")
FIRST_PLAN = "import multivideo as mv; mv.AsyncClient(providers=[mv.Kling(api_key='k')]).plan('a fox', duration=5)"
PAIRS = 15
JOBS, JOB_SECONDS = 2000, 120.0


def loading(code: str) -> tuple[float, list[str]]:
    """Milliseconds that the code takes in a fresh interpreter, start-up not counted, and the heavy modules it loads."""
    script = (
        f"import sys, time; began = time.perf_counter()\n{code}\n"
        f"took = 1000 * (time.perf_counter() - began); import json\n"
        f"print(json.dumps([took, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    took, loaded = json.loads(done.stdout)
    return took, loaded


def against_httpx(title: str, code: str) -> None:
    """Compare with `import httpx`, one after the other, so that both meet the same machine."""
    ours, theirs = [], []
    for _ in range(PAIRS):
        ours.append(loading(code)[0])
        theirs.append(loading("import httpx")[0])
    mine, other = statistics.median(ours), statistics.median(theirs)
    loaded = ", ".join(loading(code)[1]) or "nothing heavy"
    print(f"{title:<32}{mine:8.1f} ms   {mine / other:5.2f} x import httpx ({other:.1f} ms)   loads {loaded}")


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, in real seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def many_jobs(clip: bytes, home: str) -> None:
    """2,000 jobs of two minutes, all at once; each is submitted, looked at, fetched, measured and settled."""
    clock = VirtualClock()
    emulator = Emulator(clock=clock, latency=JOB_SECONDS, render=lambda _: clip, kling_slots=JOBS)
    async with mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=home) as client:
        jobs = [await client.submit("a fox", model="kling-3.0", duration=3) for _ in range(JOBS)]
        async with anyio.create_task_group() as tasks:
            for job in jobs:
                tasks.start_soon(job.wait)
        made = len(client.jobs("finished"))
    assert made == JOBS
    assert clock.monotonic() >= JOB_SECONDS


VEO = "/vertex/v1/projects/demo/locations/us-central1/publishers/google/models/veo-3.1-generate-001"
GEMINI = "/gemini/v1beta/models/veo-3.1-generate-preview:predictLongRunning"
LEGACY = "/kling/v1/videos/text2video"
INSTANCES = {"instances": [{"prompt": "a fox"}]}
# By door: how a job is made.
CREATES: Mapping[str, tuple[str, object]] = {
    "openai": ("/openai/v1/videos", {"prompt": "a fox"}),
    "kling": ("/kling/text-to-video/kling-3.0", {"prompt": "a fox"}),
    "kling, legacy": (LEGACY, {"model_name": "kling-v3", "prompt": "a fox"}),
    "vertex": (f"{VEO}:predictLongRunning", INSTANCES),
    "gemini": (GEMINI, INSTANCES),
}
LISTS: Mapping[str, tuple[str, str, object]] = {
    "openai, list of 100": ("GET", "/openai/v1/videos?limit=100", None),
    "kling, list of 100": ("POST", "/kling/tasks", {"limit": 100}),
}
HEADERS = {
    "host": "127.0.0.1:8090", "content-type": "application/json", "authorization": "Bearer k", "x-goog-api-key": "k",
}  # fmt: skip


def status_of(job: Job) -> tuple[str, str, object]:
    """The question how it is with a job."""
    if "legacy" in job.request:
        return "GET", f"{LEGACY}/{job.id}", None
    if job.door == "vertex":
        return "POST", f"{VEO}:fetchPredictOperation", {"operationName": job.id}
    paths = {"openai": "/openai/v1/videos/", "kling": "/kling/tasks?task_ids=", "gemini": "/gemini/v1beta/"}
    return "GET", paths[job.door] + job.id, None


async def status_rates() -> None:
    """Questions that the emulator answers in a second of a core, with 2,000 jobs on each door."""
    clock = VirtualClock()
    emulator = Emulator(
        clock=clock, latency=JOB_SECONDS, render=lambda _: b"clip", kling_slots=2 * JOBS, kling_units=10**9
    )

    async def ask(method: str, path: str, body: object) -> None:
        reply = await emulator(method, path, HEADERS, b"" if body is None else json.dumps(body).encode())
        assert reply.status == 200
        await reply.read()

    async def rate(calls: Sequence[tuple[str, str, object]]) -> float:
        began = time.process_time()
        for call in calls:
            await ask(*call)
        return len(calls) / (time.process_time() - began)

    for path, body in CREATES.values():
        for _ in range(JOBS):
            await ask("POST", path, body)
    jobs = emulator.jobs()
    asked = {door: jobs[place * JOBS : (place + 1) * JOBS] for place, door in enumerate(CREATES)}
    looks = {door: [status_of(job) for job in made] for door, made in asked.items()}
    looks |= {name: [call] * 200 for name, call in LISTS.items()}
    under_way = {name: await rate(calls) for name, calls in looks.items()}
    await clock.sleep(JOB_SECONDS + 1)
    for name, calls in looks.items():
        print(f"status, {name:<24}{under_way[name]:8.0f} a second under way{await rate(calls):8.0f} finished")
    emulator.close()


def large_beside_others(clip: Clip) -> float:
    """Seconds that 8 s of 4K take while three threads render 720p without a pause."""
    stop = threading.Event()

    def others(number: int) -> None:
        for take in itertools.count():
            if stop.is_set():
                return
            render(evolve(clip, prompt=f"{number} {take}"))

    threads = [threading.Thread(target=others, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    took = seconds(lambda: render(evolve(clip, width=3840, height=2160, seconds=8)))
    stop.set()
    for thread in threads:
        thread.join()
    return took


def modes(clip: Clip) -> Mapping[str, Clip]:
    """The same 4 s of 720p, made of what may be sent along."""
    other = evolve(clip, prompt="a river", seconds=2)
    film = measure(render(other))
    return {
        "plain": clip,
        "last frame, 3 references": evolve(
            clip, last_frame=placeholder(640, 360), references=(placeholder(640, 360),) * 3
        ),
        "a file played again": evolve(clip, film=film, replayed=True),
        "a file continued": evolve(clip, film=film),
        "a clip continued": evolve(clip, film=Film.of(other)),
    }


def main() -> None:
    """Print all figures."""
    against_httpx("import multivideo", "import multivideo")
    against_httpx("import, first client, first plan", FIRST_PLAN)
    clip = Clip(model="veo-3.1", prompt="a fox", seed=0, width=1280, height=720, seconds=4, fps=24, audio=True)
    for title, made in modes(clip).items():
        renders = [seconds(lambda: render(made)) for _ in range(3)]  # noqa: B023 - called at once
        print(f"render 4 s of 720p, {title:<26}{statistics.median(renders):6.2f} s")
    print(f"render 8 s of 4K beside three others  {large_beside_others(clip):8.2f} s")
    ledger.main()
    polling.main()
    transport.main()
    anyio.run(status_rates)
    tiny = render(evolve(clip, width=320, height=180, seconds=3, audio=False))
    for backend in ("asyncio", "trio"):
        with tempfile.TemporaryDirectory() as home:
            took = seconds(lambda: anyio.run(many_jobs, tiny, home, backend=backend))  # noqa: B023 - called at once
        print(f"{JOBS} jobs of {JOB_SECONDS:g} s on {backend:<11}{took:8.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        demo = [sys.executable, "-m", "multivideo", "demo", "--out", folder]
        took = seconds(lambda: subprocess.run(demo, check=True, capture_output=True))
    print(f"multivideo demo                  {took:8.2f} s")


if __name__ == "__main__":
    main()
