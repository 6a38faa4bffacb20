"""Many lives in several processes, or one again.

`python tests/simulation/simulate.py --runs 100000` lives the lives of that many seeds and tells of those that went
wrong; `--seed 17` lives that one once more and shows all that happened in it.
"""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from attrs import frozen
from life import Story, live

from sky import without_machine

__all__ = ["Tally", "lived", "lives", "simulated"]

AT_ONCE = 100  # lives that a process is given at a time
SHOWN = 20
MEMORY = Path("/dev/shm")


@frozen
class Tally:
    """What came of some lives; only those that went wrong are kept."""

    lives: int = 0
    calls: int = 0
    cpu_s: float = 0.0
    wrong: tuple[Story, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        wrong = (*self.wrong, *other.wrong)
        return Tally(self.lives + other.lives, self.calls + other.calls, self.cpu_s + other.cpu_s, wrong)

    def __str__(self) -> str:
        each = 1000 * self.cpu_s / max(1, self.lives)
        head = f"{self.lives} lives with {self.calls} paid requests, {each:.1f} ms each; {len(self.wrong)} went wrong"
        shown = sorted(self.wrong, key=lambda story: len(story.trace))[:SHOWN]  # the shortest is understood first
        return "\n".join([head, *(story.short for story in shown), *map(str, shown[:1])])


def lived(seeds: range) -> Tally:
    """The lives of these seeds, one after the other."""
    began, calls, wrong = time.process_time(), 0, []
    with _quiet(), tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        with without_machine(Path(name)):
            for seed in seeds:
                story = live(seed, Path(name))
                calls += story.calls
                wrong += [story] if story.faults else []
    return Tally(len(seeds), calls, time.process_time() - began, tuple(wrong))


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines, every warning an error, and no looking for garbage while lives are short."""
    logging.getLogger("multivideo").addHandler(logging.NullHandler())
    warnings.simplefilter("error")
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


def lives(first: int, runs: int, processes: int) -> Iterator[Tally]:
    """The lives of so many seeds from the first on, as they come back from the processes."""
    parts = [range(at, min(at + AT_ONCE, first + runs)) for at in range(first, first + runs, AT_ONCE)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(lived, part) for part in parts]):
            yield done.result()


def simulated(first: int, runs: int, processes: int | None = None) -> Tally:
    """What came of all of them."""
    return sum(lives(first, runs, processes or os.cpu_count() or 1), Tally())


def main() -> int:
    """Live, and tell."""
    parser = argparse.ArgumentParser(description="Lives of whole clients under faults, each drawn from one seed.")
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one alone, with all that happens in it")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.seed is not None:
        with _quiet(), tempfile.TemporaryDirectory() as name, without_machine(Path(name)):
            story = live(asked.seed, Path(name))
        print(story)
        return 1 if story.faults else 0
    began, tally = time.monotonic(), Tally()
    for part in lives(asked.first, asked.runs, asked.processes):
        tally += part
        for story in part.wrong:
            print(story.short, flush=True)
    print(f"{tally}\n{time.monotonic() - began:.0f} s")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
