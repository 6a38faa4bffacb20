"""One life after another on one ledger, each killed somewhere, and then the comparison of the books with the vendor."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from multivideo.ledger import book, sql
from multivideo.ledger.records import CHARGED, OPEN, AttemptRow, AttemptState, JobRow
from multivideo.ledger.store import Store
from multivideo.sandbox import Emulator
from multivideo.sandbox.clip import Clip
from multivideo.sandbox.jobs import Job
from multivideo.sandbox.render import render
from multivideo.sandbox.server import running

VICTIM = Path(__file__).with_name("victim.py")
DOORS = ("kling", "kling-legacy", "openai", "vertex", "gemini")
CANNOT_BE_ASKED = "gemini"
AHEAD_S = 400.0  # a recovery lives so much later, and the quarantine of lost submits is over
ENOUGH = 12  # lives, after which a job must have come to its end


@cache
def plain(clip: Clip) -> bytes:
    return render(clip)


def film(clip: Clip) -> bytes:
    """A real file of the ordered kind, the same for all orders of it."""
    return plain(evolve(clip, prompt="", seed=0))


@define(eq=False)
class Tally:
    """What came of all trials."""

    trials: int = 0
    kills: int = 0
    found_again: int = 0
    points: dict[str, int] = field(factory=dict)
    faults: list[str] = field(factory=list)

    def __str__(self) -> str:
        rows = [f"{door}: {count} points" for door, count in self.points.items()]
        text = f"{self.trials} jobs, {self.kills} kills, {self.found_again} lost answers found again"
        return "\n".join([*rows, f"{text}, {len(self.faults)} faults", *self.faults[:20]])


@define(eq=False)
class Field:
    """An emulator on a port, and the process whose children are killed."""

    emulator: Emulator
    url: str
    folder: Path
    victim: subprocess.Popen[str]
    tally: Tally = field(factory=Tally)

    def live(self, task: dict[str, Any]) -> dict[str, Any]:
        """One life of a child."""
        assert self.victim.stdin is not None
        assert self.victim.stdout is not None
        self.victim.stdin.write(json.dumps(task) + "\n")
        self.victim.stdin.flush()
        story: dict[str, Any] = json.loads(self.victim.stdout.readline())
        self.tally.kills += story["killed"]
        self._let_arrive()
        return story

    def _let_arrive(self) -> None:
        """What a dead process had handed to the system is with the emulator once it answers a few later requests."""
        for _ in range(3):
            with urllib.request.urlopen(f"{self.url}/_emu/counts?door=none") as answer:  # noqa: S310 - our own address
                answer.read()

    def trial(self, door: str, kills: Sequence[int | None], count: int = 1) -> bool:
        """A job that is killed at these points, life by life, and then brought to its end. False: no life was killed.

        The first life generates, each later one recovers.
        """
        key = uuid.uuid4().hex
        home = self.folder / key
        task = {"door": door, "url": self.url, "key": key, "home": str(home), "count": count}
        task |= {"save_to": str(home / "out" / "boat.mp4")}
        story = self.live({**task, "do": "generate", "ahead_s": 0.0, "kill": kills[0]})
        lives = [story]
        later = iter(kills[1:])
        while story["killed"] and len(lives) < ENOUGH:
            story = self.live({**task, "do": "recover", "ahead_s": AHEAD_S, "kill": next(later, None)})
            lives.append(story)
        self.tally.trials += 1
        where = " then ".join(life["at"] for life in lives if life["killed"])
        story_told = json.dumps(lives[-1])[:1500]
        for fault in Comparison.of(self.emulator, door, key, home, lives).faults():
            self.tally.faults.append(f"{door}, killed {where or 'never'}: {fault} | {story_told}")
        return any(life["killed"] for life in lives)

    def every_point(self, door: str, count: int = 1) -> None:
        """One job for each point of a whole `generate()`, until one comes through alive."""
        point = 1
        while self.trial(door, [point], count):
            point += 1
        self.tally.points[f"{door} x {count}"] = point - 1

    def at_random(self, dice: random.Random, crashes: int, trials: int | None = None, kills: int | None = None) -> None:
        """Jobs at all doors in turn, each killed so many times at points drawn by lot."""
        until = self.tally.trials + trials if trials is not None else sys.maxsize
        enough = kills if kills is not None else sys.maxsize
        while self.tally.trials < until and self.tally.kills < enough:
            door = DOORS[self.tally.trials % len(DOORS)]
            self.trial(door, [dice.randint(1, 260), *(dice.randint(1, 120) for _ in range(crashes - 1))], dice.choice((1, 1, 2)))


@define(eq=False)
class Comparison:
    """What the vendor knows against what the books say, after the last life."""

    door: str
    home: Path
    lives: list[dict[str, Any]]
    jobs: tuple[Job, ...]
    known: list[tuple[JobRow, list[AttemptRow]]]
    wrong: list[str]
    held: int
    spent: int

    @classmethod
    def of(cls, emulator: Emulator, door: str, key: str, home: Path, lives: list[dict[str, Any]]) -> Comparison:
        store = Store(home / "ledger.db")
        try:
            rows = store.read(lambda db: [book.job_of(row) for row in db.all(sql.JOBS)], [])
            attempts = store.read(
                lambda db: [[book.attempt_of(a) for a in db.all(sql.ATTEMPTS_OF, job_id=row.id)] for row in rows], []
            )
            balances: dict[str, int] = dict(store.read(lambda db: [(r[0], r[1]) for r in db.all(sql.BALANCES)], []))
            wrong = store.read(book.verify, [])
        finally:
            store.close()
        spent = sum(micro for name, micro in balances.items() if name.startswith("spent:"))
        known = list(zip(rows, attempts, strict=True))
        return cls(door, home, lives, emulator.jobs(key), known, wrong, balances.get("held", 0), spent)

    def faults(self) -> Iterator[str]:
        """Everything that must not be."""
        yield from (f"the books: {told}" for told in self.wrong)
        if "error" in (self.lives[-1].get("said") or {}):
            yield "the last life ended by an error"
        if self.lives[-1]["killed"]:
            yield "it never came to an end"
        yield from self._jobs()
        yield from self._money()
        yield from self._files()

    @property
    def attempts(self) -> list[AttemptRow]:
        return [attempt for _, attempts in self.known for attempt in attempts]

    def _jobs(self) -> Iterator[str]:
        ids = [row.remote_id for row in self.attempts if row.remote_id is not None]
        unknown = [row for row in self.attempts if row.state is AttemptState.UNKNOWN]
        unseen = [job for job in self.jobs if not any(_is_of(job, row) for row in self.attempts)]
        may_be = len(unknown) if self.door == CANNOT_BE_ASKED else 0
        if len(unseen) > may_be:
            yield f"lost: {[job.id for job in unseen]} are not in the books"
        if len(set(ids)) != len(ids):
            yield f"doubled: {ids}"
        if len(self.jobs) > len(self.attempts):
            yield f"doubled: {len(self.jobs)} jobs for {len(self.attempts)} attempts"
        for row in self.attempts:
            if row.state in OPEN and row.state is not AttemptState.UNKNOWN:
                yield f"orphaned: {row.id} is still {row.state}"
        for job, attempts in self.known:
            lost = any(row.state is AttemptState.UNKNOWN for row in attempts)
            if job.ended_ms is None and not lost:
                yield f"orphaned: job {job.id} is not at its end"
            if job.owner is not None:
                yield f"job {job.id} is still leased"
        told = (self.lives[-1].get("said") or {}).get("unresolved", [])
        if len(self.lives) > 1 and sorted(row.id for row in unknown) != sorted(told):
            yield f"unknown and not told: {[row.id for row in unknown]}, told {told}"

    def _money(self) -> Iterator[str]:
        held = sum(row.held.micro_usd for row in self.attempts if row.state in OPEN)
        if held != self.held:
            yield f"held is {self.held}, open attempts hold {held}"
        ended = [row for row in self.attempts if row.state in CHARGED]
        cost = sum(job.cost for job in self.jobs if any(_is_of(job, row) for row in ended))
        if cost != self.spent:
            yield f"spent is {self.spent}, the vendor charged {cost}"

    def _files(self) -> Iterator[str]:
        made = [row for row in self.attempts if row.state is AttemptState.SUCCEEDED]
        out = self.home / "out"
        wanted = [out / f"boat{'' if take == 1 else f'-{take}'}.mp4" for take in range(1, len(made) + 1)]
        lying = sorted(out.iterdir()) if out.is_dir() else []
        if sorted(path for path in lying if path.suffix == ".mp4") != sorted(wanted):
            yield f"files are {[path.name for path in lying]}, wanted {[path.name for path in wanted]}"
        if any(len(path.read_bytes()) != len(film(job.clips[0])) for path in wanted for job in self.jobs if path.exists()):
            yield "a file is not what the vendor made"
        for job, _ in self.known:
            if job.ended_ms is not None and sorted(job.files) != sorted(map(str, wanted)):
                yield f"the books name the files {job.files}"
        said = (self.lives[-1].get("said") or {}).get("videos")
        if made and len(self.lives) == 2 and said != [str(path) for path in wanted]:
            ended_before = "job_ended" in json.dumps(self.lives[0])
            if not ended_before and not self._was_over():
                yield f"the report names {said}"

    def _was_over(self) -> bool:
        """Whether the first life was killed when all was done."""
        at = self.lives[0].get("at", "")
        return "UPDATE jobs SET ended_ms" in at or "COMMIT" in at or "RELEASE" in at or "ROLLBACK" in at


def _is_of(job: Job, row: AttemptRow) -> bool:
    if row.remote_id is None:
        return False
    return job.id in row.remote_id or (row.remote_id.startswith("gs://") and row.id in str(job.request))


@contextmanager
def a_field(folder: Path, latency: float = 0.0) -> Iterator[Field]:
    """Everything that trials need, for the length of the block."""
    emulator = Emulator(latency=latency, render=film)
    with running(emulator) as url:
        command = [sys.executable, str(VICTIM)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:
            try:
                yield Field(emulator, url, folder, victim)
            finally:
                assert victim.stdin is not None
                victim.stdin.close()
    emulator.close()
