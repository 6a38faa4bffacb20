"""Whole clients under faults drawn from one seed: nothing is lost, nothing paid twice, nothing left, no lie told.

5,000 lives in every run of the tests; `nox -s simulate` lives many more. Each mutation below is a mistake that costs
somebody money, and is found within a few hundred lives.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from life import Life, live
from simulate import lived, simulated

from multivideo.errors import OutcomeUnknown
from multivideo.jobs import driver, recover, submit
from multivideo.jobs.settle import settle_success
from multivideo.jobs.slots import Slots
from multivideo.ledger import book
from multivideo.ledger.journal import Journal
from multivideo.ledger.records import AttemptState
from multivideo.transport import retry, sender
from multivideo.transport.part_files import PartFile
from multivideo.transport.retry import Failure, Outcome, StepKind
from sky import Dice, without_machine

LIVES = int(os.environ.get("MULTIVIDEO_LIVES", "5000"))
ENOUGH = 600
KEPT: list[PartFile] = []
HERE = Path(__file__).parent
Patch = pytest.MonkeyPatch


def test_no_life_loses_a_paid_job_pays_one_twice_or_ends_with_a_lie() -> None:
    tally = simulated(0, LIVES)
    assert tally.lives == LIVES
    assert tally.calls > LIVES
    assert not tally.wrong, str(tally)


@pytest.mark.parametrize("seed", [4, 7])
def test_a_seed_tells_the_same_story_in_every_process(seed: int) -> None:
    command = [sys.executable, str(HERE / "simulate.py"), "--seed", str(seed)]
    stories = [
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, check=False).stdout
        for salt in ("1", "2")
    ]
    assert stories[0] == stories[1]
    assert stories[0].count(b"submit of") >= 1


def test_a_story_that_went_wrong_names_the_command_that_tells_it_again(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(Life, "run", _fail)
    with without_machine(tmp_path):
        story = live(12, tmp_path)
    assert "the sky fell" in story.short
    assert str(story).endswith("replay, on asyncio: python tests/simulation/simulate.py --seed 12")


async def _fail(self: Life) -> None:
    raise RuntimeError("the sky fell")


def test_draws_of_one_name_do_not_depend_on_others() -> None:
    one, other = Dice(3), Dice(3)
    other.of("a").random()
    assert one.of("b", 1).random() == other.of("b", 1).random() != one.of("b", 2).random()


def _resends_what_was_lost(patch: Patch) -> None:
    def decide(failure: Failure, random: Callable[[], float]) -> float | None:
        lost = failure.step is StepKind.SUBMIT and failure.outcome is Outcome.LOST
        return 1.0 if lost and failure.tries < 3 else retry.decide(failure, random)

    patch.setattr(sender, "decide", decide)


def _gives_back_what_is_unknown(patch: Patch) -> None:
    async def unknown(self: Journal, attempt_id: str, said: str) -> None:
        await self.void(attempt_id, AttemptState.REJECTED, said)

    patch.setattr(Journal, "unknown", unknown)


def _forgets_to_hold(patch: Patch) -> None:
    patch.setattr(book, "_hold", lambda *_: None)


def _believes_the_first_look(patch: Patch) -> None:
    patch.setattr(recover, "QUARANTINE_S", 0.0)
    patch.setattr(recover, "FEWEST_LOOKS", 1)


def _settles_at_what_it_likes(patch: Patch) -> None:
    def generous(*args: Any) -> Any:
        settled = settle_success(*args)
        return evolve(settled, amount=settled.amount + settled.amount)

    patch.setattr(driver, "settle_success", generous)


def _cuts_off_a_paid_request(patch: Patch) -> None:
    async def call(do: Callable[[], Any]) -> Any:
        return await do()

    patch.setattr(sender, "_to_its_end", call)


def _sends_the_key_anywhere(patch: Patch) -> None:
    patch.setattr(sender, "origin", lambda url: "everywhere")


def _leaves_half_files(patch: Patch) -> None:
    # they stay open, and so locked: else the next download takes them for those of a dead process
    patch.setattr(PartFile, "discard", lambda self: KEPT.append(self))


def _keeps_its_leases(patch: Patch) -> None:
    async def release(self: Journal, job_id: str) -> None:
        return

    patch.setattr(Journal, "release", release)


def _keeps_its_places(patch: Patch) -> None:
    patch.setattr(Slots, "sent", lambda self, attempt_id: None)
    patch.setattr(Slots, "leave", lambda self, attempt_id: None)


def _writes_another_id_down(patch: Patch) -> None:
    async def accepted(self: Any, job: Any, attempt_id: str, vendor: Any) -> None:
        await self.journal.accepted(attempt_id, f"{vendor.remote_id}0")

    patch.setattr(submit.Submitter, "_accepted", accepted)


def _says_that_nothing_was_charged(patch: Patch) -> None:
    patch.setattr(OutcomeUnknown, "charged", "no")


MISTAKES: dict[Callable[[Patch], None], str] = {
    _resends_what_was_lost: "sent again|lost:",
    _gives_back_what_is_unknown: "lost:",
    _forgets_to_hold: "the books:|held is",
    _believes_the_first_look: "lost:|cannot become",
    _settles_at_what_it_likes: "is booked at",
    _cuts_off_a_paid_request: "lost:",
    _sends_the_key_anywhere: "the key of",
    _leaves_half_files: "is left",
    _keeps_its_leases: "still leased|not told",
    _keeps_its_places: "are taken by ended|no end to it",
    _writes_another_id_down: "orphaned|unknown and not told|lost:|not found|cannot become",
    _says_that_nothing_was_charged: "cost something",
}


@pytest.fixture
def _no_file_stays_open() -> Iterator[None]:
    yield
    while KEPT:
        KEPT.pop().close()


@pytest.mark.usefixtures("_no_file_stays_open")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__.strip("_"))
def test_a_mistake_that_costs_money_is_found(mistake: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mistake(monkeypatch)
    for first in range(0, ENOUGH, 20):
        faults = [fault for story in lived(range(first, first + 20)).wrong for fault in story.faults]
        if any(re.search(MISTAKES[mistake], fault) for fault in faults):
            return
    pytest.fail(f"{ENOUGH} lives, and nobody has noticed")
