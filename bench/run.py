"""What the library costs beside what it does: figures of one run, as ratios where two things can be compared.

Run by `nox -s bench`, or `python bench/run.py`. Nothing here fails because a machine is slow; read the figures.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import anyio
from attrs import evolve

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.sandbox import Emulator
from multivideo.sandbox.render import Clip, render

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


def main() -> None:
    """Print all figures."""
    against_httpx("import multivideo", "import multivideo")
    against_httpx("import, first client, first plan", FIRST_PLAN)
    clip = Clip(model="veo-3.1", prompt="a fox", seed=0, width=1280, height=720, seconds=4, fps=24, audio=True)
    renders = [seconds(lambda: render(clip)) for _ in range(3)]
    print(f"render 4 s of 1280x720           {statistics.median(renders):8.2f} s")
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
