"""One life after another on one ledger, each killed somewhere, and then the comparison of the books with the vendor.

`python tests/kill/trials.py --kills 10000` kills that often, at points drawn by lot, and tells what came of it.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
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
from multivideo.ledger.store import Db, Store
from multivideo.sandbox import Emulator
from multivideo.sandbox.clip import Clip
from multivideo.sandbox.jobs import Job
from multivideo.sandbox.render import render
from multivideo.sandbox.server import running

VICTIM = Path(__file__).with_name("victim.py")
DOORS = ("kling", "kling-legacy", "openai", "vertex", "gemini")
CANNOT_BE_ASKED = "gemini"
AHEAD_S = 400.0  # a recovery lives so much later, when the quarantine of lost submits is over
ENOUGH = 12  # lives after which a job must have come to its end
POINTS, LATER_POINTS = 150, 80  # of a life that generates one take, and of one that recovers, about
Life = dict[str, Any]
Books = tuple[list[tuple[JobRow, list[AttemptRow]]], list[str], dict[str, int]]

plain = cache(render)


def film(clip: Clip) -> bytes:
    """A real file of the ordered kind, the same for all orders of it."""
    return plain(evolve(clip, prompt="", seed=0))


@define(eq=False)
class Tally:
    """What came of all trials."""

    trials: int = 0
    kills: int = 0
    faults: list[str] = field(factory=list)

    def __str__(self) -> str:
        head = f"{self.trials} jobs, {self.kills} kills, {len(self.faults)} faults"
        return "\n".join([head, *self.faults[:20]])


@define(eq=False)
class Arena:
    """An emulator on a port, and the process whose children are killed."""

    emulator: Emulator
    url: str
    folder: Path
    victim: subprocess.Popen[str]
    tally: Tally = field(factory=Tally)

    def trial(self, door: str, kills: Sequence[int | None], count: int = 1) -> bool:
        """A job that is killed at these points, life by life, and then brought to its end. False: no life was killed.

        The first life generates, each later one recovers.
        """
        key = uuid.uuid4().hex
        home = self.folder / key
        task = {"door": door, "url": self.url, "key": key, "home": str(home), "count": count}
        task |= {"save_to": str(home / "out" / "boat.mp4")}
        lives = [self._live({**task, "do": "generate", "ahead_s": 0.0, "kill": kills[0]})]
        later = iter(kills[1:])
        while lives[-1]["killed"] and len(lives) < ENOUGH:
            lives.append(self._live({**task, "do": "recover", "ahead_s": AHEAD_S, "kill": next(later, None)}))
        self.tally.trials += 1
        killed = [life["at"] for life in lives if life["killed"]]
        end = json.dumps(lives[-1])[:1500]
        for fault in Comparison.of(self.emulator.jobs(key), door, home, lives).faults():
            self.tally.faults.append(f"{door}, killed {' then '.join(killed) or 'never'}: {fault} | {end}")
        return bool(killed)

    def every_point(self, door: str, count: int = 1) -> int:
        """One job for each point of a whole `generate()`, until one comes through alive; how many there are."""
        self.trial(door, [None], count)  # what is slow the first time is done with
        point = 1
        while self.trial(door, [point], count):
            point += 1
        return point - 1

    def at_random(self, dice: random.Random) -> None:
        """A job at some door that is killed twice or three times at points drawn by lot."""
        count = dice.choice((1, 1, 2))
        first = dice.randint(1, POINTS * count)
        later = [dice.randint(1, LATER_POINTS) for _ in range(dice.choice((1, 1, 2)))]
        self.trial(dice.choice(DOORS), [first, *later], count)

    def _live(self, task: Life) -> Life:
        """One life of a child."""
        assert self.victim.stdin is not None
        assert self.victim.stdout is not None
        self.victim.stdin.write(json.dumps(task) + "\n")
        self.victim.stdin.flush()
        story: Life = json.loads(self.victim.stdout.readline())
        self.tally.kills += story["killed"]
        for _ in range(2):  # what a dead process had handed to the system has arrived once later requests are answered
            with urllib.request.urlopen(f"{self.url}/_emu/counts?door=none") as answer:
                answer.read()
        return story


@define(eq=False)
class Comparison:
    """What the vendor knows against what the books say, after the last life."""

    door: str
    out: Path
    lives: list[Life]
    jobs: tuple[Job, ...]
    known: list[tuple[JobRow, list[AttemptRow]]]
    wrong: list[str]
    balances: dict[str, int]

    @classmethod
    def of(cls, jobs: tuple[Job, ...], door: str, home: Path, lives: list[Life]) -> Comparison:
        store = Store(home / "ledger.db")
        try:
            nothing: Books = ([], [], {})
            known, wrong, balances = store.read(_all, nothing)
        finally:
            store.close()
        return cls(door, home / "out", lives, jobs, known, wrong, balances)

    def faults(self) -> Iterator[str]:
        """Everything that must not be."""
        yield from (f"the books: {told}" for told in self.wrong)
        if "error" in self._said or self.lives[-1]["killed"]:
            yield "it never came to an end"
        yield from self._lost_or_doubled()
        yield from self._orphaned()
        yield from self._money()
        yield from self._files()

    @property
    def _said(self) -> Life:
        return self.lives[-1].get("said") or {}

    @property
    def _attempts(self) -> list[AttemptRow]:
        return [attempt for _, attempts in self.known for attempt in attempts]

    def _lost_or_doubled(self) -> Iterator[str]:
        unknown = [row.id for row in self._attempts if row.state is AttemptState.UNKNOWN]
        unseen = [job.id for job in self.jobs if not any(_is_of(job, row) for row in self._attempts)]
        if len(unseen) > (len(unknown) if self.door == CANNOT_BE_ASKED else 0):
            yield f"lost: {unseen} are not in the books"
        ids = [row.remote_id for row in self._attempts if row.remote_id is not None]
        if len(set(ids)) != len(ids) or len(self.jobs) > len(self._attempts):
            yield f"doubled: {len(self.jobs)} jobs for {len(self._attempts)} attempts, {ids}"
        if len(self.lives) > 1 and sorted(unknown) != sorted(self._said.get("unresolved", [])):
            yield f"unknown and not told: {unknown}"

    def _orphaned(self) -> Iterator[str]:
        for row in self._attempts:
            if row.state in OPEN and row.state is not AttemptState.UNKNOWN:
                yield f"orphaned: {row.id} is still {row.state}"
        for job, attempts in self.known:
            if job.ended_ms is None and not any(row.state is AttemptState.UNKNOWN for row in attempts):
                yield f"orphaned: job {job.id} is not at its end"
            if job.owner is not None:
                yield f"orphaned: job {job.id} is still leased"

    def _money(self) -> Iterator[str]:
        held = sum(row.held.micro_usd for row in self._attempts if row.state in OPEN)
        if held != self.balances.get("held", 0):
            yield f"held is {self.balances.get('held', 0)}, open attempts hold {held}"
        spent = sum(micro for name, micro in self.balances.items() if name.startswith("spent:"))
        ended = [row for row in self._attempts if row.state in CHARGED]
        cost = sum(job.cost for job in self.jobs if any(_is_of(job, row) for row in ended))
        if cost != spent:
            yield f"spent is {spent}, the vendor charged {cost}"

    def _files(self) -> Iterator[str]:
        made = [row for row in self._attempts if row.state is AttemptState.SUCCEEDED]
        takes = sum(len(job.clips) for job in self.jobs if any(_is_of(job, row) for row in made))
        wanted = [self.out / ("boat.mp4" if take == 1 else f"boat-{take}.mp4") for take in range(1, takes + 1)]
        lying = sorted(self.out.glob("*.mp4"))
        whole = {film(clip) for job in self.jobs for clip in job.clips}
        if lying != sorted(wanted) or any(path.read_bytes() not in whole for path in lying):
            yield f"files are {[path.name for path in lying]}, wanted {[path.name for path in wanted]}"
        names = sorted(map(str, wanted))
        if any(sorted(job.files) != names for job, _ in self.known if job.ended_ms is not None):
            yield f"the books name the files {[job.files for job, _ in self.known]}"
        if not any(life["over"] for life in self.lives[:-1]) and sorted(self._said.get("videos", [])) != names:
            yield f"the report names {self._said}"


def _all(db: Db) -> Books:
    """The jobs with their attempts, what is wrong in the books, and the balances."""
    rows = [book.job_of(row) for row in db.all(sql.JOBS)]
    known = [(row, [book.attempt_of(each) for each in db.all(sql.ATTEMPTS_OF, job_id=row.id)]) for row in rows]
    return known, book.verify(db), {row[0]: row[1] for row in db.all(sql.BALANCES)}


def _is_of(job: Job, row: AttemptRow) -> bool:
    """Whether an attempt knows the vendor's job: by its id, or by the folder that it alone writes to."""
    if row.remote_id is None:
        return False
    return job.id in row.remote_id or (row.remote_id.startswith("gs://") and row.id in str(job.request))


@contextmanager
def arena(folder: Path, latency: float = 0.0) -> Iterator[Arena]:
    """Everything that trials need, for the length of the block."""
    emulator = Emulator(latency=latency, render=film)
    try:
        with running(emulator) as url:
            command = [sys.executable, str(VICTIM)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:
                yield Arena(emulator, url, folder, victim)
                assert victim.stdin is not None
                victim.stdin.close()
    finally:
        emulator.close()


def main() -> int:
    """Kill for a while, and tell."""
    parser = argparse.ArgumentParser(description="Kills paid jobs at points drawn by lot and compares the books.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop sooner after so much time")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    dice, began = random.Random(asked.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, arena(Path(folder), latency=0.02) as ground:
        while ground.tally.kills < asked.kills and time.monotonic() - began < asked.seconds:
            ground.at_random(dice)
    print(f"{ground.tally}\nseed {asked.seed}, {time.monotonic() - began:.0f} s")
    return 1 if ground.tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
