"""A client of the embedded emulator in virtual time; equal clips are rendered once in a whole test run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from attrs import evolve

import multivideo as mv
from multivideo.clock import VirtualClock
from multivideo.jobs.job import Job
from multivideo.jobs.submit import Submitter
from multivideo.sandbox import Emulator
from multivideo.sandbox.render import render

PROMPT = "A paper boat crosses a puddle at dusk"
cached_render = cache(render)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def emulator(clock: VirtualClock) -> Iterator[Emulator]:
    made = Emulator(clock=clock, latency=60.0, render=cached_render)
    yield made
    made.close()


@pytest.fixture
def sandbox(
    clock: VirtualClock, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., mv.AsyncClient]:
    """Makes clients that share one emulator and one clock."""

    home = tmp_path_factory.mktemp("home")

    def make(**options: Any) -> mv.AsyncClient:
        return mv.AsyncClient.sandbox(emulator=emulator, clock=clock, home=home, **options)

    return make


@pytest.fixture
def deadline_after_the_submit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline counts once the job is accepted, however short it is and however slow the machine."""
    submit = Submitter.submit

    async def patient(self: Submitter, job: Job, plan: mv.Plan) -> None:
        await submit(self, job, evolve(plan, request=mv.VideoRequest.of(plan.request, {"deadline": None})))

    monkeypatch.setattr(Submitter, "submit", patient)
