"""The jobs of all doors. What a job is at a moment follows from the clock alone."""

from __future__ import annotations

import enum
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from attrs import Factory, define, evolve, field, frozen

from multivideo.clock import Clock
from multivideo.sandbox.deliverables import spoiled
from multivideo.sandbox.fault_book import FaultBook
from multivideo.sandbox.faults import KINDS, Fault, Script
from multivideo.sandbox.pool import Outcome, RenderPool
from multivideo.sandbox.render import Clip
from multivideo.sandbox.wire import Reply, Request

if TYPE_CHECKING:
    from multivideo.sandbox.archive import Archive

__all__ = ["Draft", "Job", "JobStore", "State"]


class State(enum.StrEnum):
    """What a job is, in the emulator's own words; each door says it in its vendor's."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    FILTERED = "filtered"
    EXPIRED = "expired"

    @property
    def over(self) -> bool:
        """Whether nothing happens to the job any more, but that its file is thrown away."""
        return self not in (State.QUEUED, State.RUNNING)


@frozen(kw_only=True)
class Draft:
    """An order that passed every check of its door.

    Args:
        request: the order with all defaults filled in.
        clips: the files to make; none for a job that will fail.
        seconds: how long the vendor would take, where no latency is set for all.
        cost: micro-USD charged for it.
        verdict: how it ends; `reason` says why in the door's own words.
        keeps: seconds its file can be fetched; None: for ever.
    """

    model: str
    prompt: str
    request: Mapping[str, object]
    clips: tuple[Clip, ...] = field(repr=False)
    seconds: float
    cost: int
    verdict: State = State.DONE
    reason: str = ""
    keeps: float | None = None
    external_id: str = ""


# How a door says that a filter took its only video; Veo's protocols have a state of their own for it.
_FILTERED: Mapping[str, tuple[State, str]] = {
    "openai": (State.FAILED, "moderation_blocked"),
    "kling": (State.FAILED, "risk_control"),
}


def _bent(draft: Draft, door: str, script: Script) -> Draft:
    """The order as the faults of its script let it be carried out. What a filter takes is not charged."""
    for fault in script.faults:
        if fault.name == "deliver":
            draft = evolve(draft, clips=spoiled(draft.clips, fault.value))
        if fault.name == "filtered":
            left = draft.clips[: -int(fault.value)] if fault.value else ()
            cost = draft.cost * len(left) // max(1, len(draft.clips))
            state, reason = (State.DONE, draft.reason) if left else _FILTERED.get(door, (State.FILTERED, draft.reason))
            draft = evolve(draft, clips=left, cost=cost, verdict=state, reason=reason)
    return draft


class File(Protocol):
    """A file of a job, under way or finished."""

    @property
    def clip(self) -> Clip:
        """What is rendered."""
        ...

    @property
    def finished(self) -> float | None:
        """Wall time at which it was made; None: not yet."""
        ...

    @property
    def error(self) -> str | None:
        """Why there is none."""
        ...

    @property
    def outcome(self) -> Outcome | None:
        """Both of these, once they are known."""
        ...


@define(eq=False, kw_only=True)
class Job:
    """An accepted order. `place` counts those of its door and credential, from 0."""

    id: str
    door: str
    credential: str
    place: int
    draft: Draft
    created: float
    latency: float
    origin: str
    script: Script
    renderings: tuple[File, ...] = field(repr=False)
    polls: int = 0
    downloads: int = 0
    deleted: bool = False

    @property
    def model(self) -> str:
        """The model as ordered."""
        return self.draft.model

    @property
    def request(self) -> Mapping[str, object]:
        """The order as understood, with every default filled in."""
        return self.draft.request

    @property
    def cost(self) -> int:
        """Micro-USD charged for it: nothing when no file came of it."""
        return 0 if any(item.error is not None for item in self.renderings) else self.draft.cost

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The files made for it: as drafted, or plain ones when there was too much to render."""
        return tuple(item.clip for item in self.renderings)

    @property
    def made(self) -> tuple[Outcome, ...] | None:
        """How its files came out; None: some are under way."""
        known = tuple(item.outcome for item in self.renderings if item.outcome is not None)
        return known if len(known) == len(self.renderings) else None

    def number(self, what: str, digits: int) -> int:
        """A number of that many digits for an id that a door makes up for it, such as that of its video.

        It follows from the id of the job. Drawn at random it would be another one in every process, and whoever looks
        at a job first would shift the ids of all that come after.
        """
        least: int = 10 ** (digits - 1)
        return least + int.from_bytes(hashlib.sha256(f"{what} {self.id}".encode()).digest()) % (9 * least)

    @property
    def started(self) -> float:
        """Wall time at which it leaves the queue: after a twelfth of its time, 5 s of a minute."""
        return self.created + self.latency / 12

    @property
    def ended(self) -> float:
        """Wall time at which it is or will be over; infinite while that cannot be known."""
        if self.script.find("stuck") is not None:
            return float("inf")
        made = [float("inf") if item.finished is None else item.finished for item in self.renderings]
        return max([self.created + self.latency, *made])

    def state(self, now: float) -> State:
        """What it is at that wall time."""
        if now < self.ended:
            return State.QUEUED if now < self.started else State.RUNNING
        if any(item.error is not None for item in self.renderings):
            return State.FAILED
        if self.draft.verdict is State.DONE and self.expires is not None and now >= self.expires:
            return State.EXPIRED
        return self.draft.verdict

    def since(self, state: State) -> float:
        """Wall time at which it came to that state."""
        return {State.QUEUED: self.created, State.RUNNING: self.started}.get(state, self.ended)

    @property
    def expires(self) -> float | None:
        """Wall time from which its file is gone; None: never."""
        if self.script.find("expired") is not None:
            return self.ended
        return None if self.draft.keeps is None else self.ended + self.draft.keeps

    @property
    def gone(self) -> bool:
        """Whether nobody may see it any more."""
        return self.deleted or "vanish" in self.script.hits("poll", self.polls)

    @property
    def hidden(self) -> bool:
        """Whether the poll that was just counted may not see it, or no longer."""
        return self.gone or "late" in self.script.hits("poll", self.polls)

    def burden(self, script: Script) -> None:
        """Add faults for what is still to come: the first poll or download is the next one.

        Raises:
            ValueError: a fault of the create call, which is over.
        """
        done = {"poll": self.polls, "download": self.downloads}
        late = [fault.name for fault in script.faults if KINDS[fault.name].stage in ("submit", "made", "order", "call")]
        if late:
            raise ValueError(f"too late for {', '.join(late)}: the job was made")
        added = [evolve(fault, first=fault.first + done.get(KINDS[fault.name].stage, 0)) for fault in script.faults]
        self.script = Script((*self.script.faults, *added))

    def look(self, refuse: Callable[[Fault], Reply]) -> dict[str, Fault]:
        """Count a poll and let its faults happen; gives those that the door must act out itself."""
        self.polls += 1
        return self.script.strike("poll", self.polls, refuse)

    def fetch(self, refuse: Callable[[Fault], Reply]) -> dict[str, Fault]:
        """Count a download and let its faults happen; gives those that change the file."""
        self.downloads += 1
        return self.script.strike("download", self.downloads, refuse)


@define(eq=False, kw_only=True)
class JobStore:
    """All jobs, and what every door needs to make one."""

    clock: Clock
    random: random.Random
    pool: RenderPool
    latency: float | None
    faults: FaultBook = field(factory=FaultBook)
    archive: Archive | None = None
    _secret: bytes = field(default=Factory(lambda self: self.random.randbytes(32), takes_self=True), repr=False)
    _jobs: dict[tuple[str, str], Job] = field(factory=dict)
    # Kept beside, because a run of thousands of jobs asks at every create and every list.
    _accounts: dict[tuple[str, str], list[Job]] = field(factory=dict)
    _active: dict[tuple[str, str, str], list[Job]] = field(factory=dict)
    _spent: Counter[tuple[str, str]] = field(factory=Counter)
    _external: dict[tuple[str, str, str], Job] = field(factory=dict)
    # Those of which the archive does not know yet how their files came out.
    _unsettled: list[Job] = field(factory=list)

    @property
    def secret(self) -> bytes:
        """What links to files are signed with."""
        return self._secret if self.archive is None else self.archive.secret

    def refresh(self) -> None:
        """Take in what other processes have written into the archive."""
        if self.archive is None:
            return
        for record in self.archive.news():
            known = self.get(record.door, record.id)
            if known is not None:
                known.deleted, known.script = known.deleted or record.deleted, record.script
                continue
            job = record.job(len(self.of_account(record.door, record.credential)), self.pool, self.archive.clips)
            self._keep(job)
            if job.made is None:
                self._unsettled.append(job)

    def settle(self) -> None:
        """Write down which files were made since, so that every process says the same of their jobs."""
        if self.archive is None:
            return
        for job in [job for job in self._unsettled if job.made is not None]:
            self.archive.note(job)
            self._unsettled.remove(job)

    def accept(
        self, request: Request, door: str, credential: str, draft: Draft, new_id: str, refuse: Callable[[Fault], Reply]
    ) -> Job:
        """Make the job of a checked order; faults of its create call happen before or after."""
        script, count = self.faults.take(door, credential, request)
        script.strike("submit", count, refuse)
        draft = _bent(draft, door, script)
        latency = draft.seconds if self.latency is None else self.latency
        job = Job(
            id=new_id,
            door=door,
            credential=credential,
            place=len(self.of_account(door, credential)),
            draft=draft,
            created=self.clock.wall(),
            latency=latency,
            origin=request.origin,
            script=script,
            renderings=tuple(self.pool.start(clip, within=latency) for clip in draft.clips),
        )
        if self.archive is not None:
            self.archive.add(job)
            self._unsettled.append(job)
        self._keep(job)
        script.strike("made", count, refuse)
        return job

    def _keep(self, job: Job) -> None:
        account = job.door, job.credential
        self._jobs[job.door, job.id] = job
        self._accounts.setdefault(account, []).append(job)
        self._active.setdefault((*account, job.model), []).append(job)
        self._spent[account] += job.draft.cost
        if job.draft.external_id:
            self._external[*account, job.draft.external_id] = job

    def get(self, door: str, job_id: str) -> Job | None:
        """The job of that id, hidden or not."""
        return self._jobs.get((door, job_id))

    def fault(self, door: str, job_id: str, script: Script) -> None:
        """Give a job under way faults; ValueError when there is no such job, or when they come too late."""
        job = self.get(door, job_id)
        if job is None:
            raise ValueError(f"no job {job_id!r}")
        job.burden(script)
        self._note(job)

    def delete(self, job: Job) -> None:
        """Let nobody see a job any more."""
        job.deleted = True
        self._note(job)

    def _note(self, job: Job) -> None:
        if self.archive is not None:
            self.archive.note(job)

    def all(self, door: str | None = None, credential: str | None = None) -> tuple[Job, ...]:
        """Every job ever accepted, oldest first; of one door or one credential if asked."""
        return tuple(
            job
            for job in list(self._jobs.values())
            if door in (None, job.door) and credential in (None, job.credential)
        )

    def of_account(self, door: str, credential: str) -> Sequence[Job]:
        """The jobs of one credential on one door, oldest first."""
        return self._accounts.get((door, credential), ())

    def is_full(self, door: str, credential: str, model: str, slots: int) -> bool:
        """Whether that many jobs of a credential are under way on a model."""
        active = self._active.get((door, credential, model), [])
        if len(active) < slots:
            return False
        now = self.clock.wall()
        active[:] = [job for job in active if not job.state(now).over]
        return len(active) >= slots

    def spent(self, door: str, credential: str) -> int:
        """Micro-USD that the jobs of a credential cost."""
        return self._spent[door, credential]

    def external(self, door: str, credential: str, external_id: str) -> Job | None:
        """The job to which its caller gave that id."""
        return self._external.get((door, credential, external_id))

    def hex(self, digits: int) -> str:
        """That many random hex digits."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def digits(self, count: int) -> str:
        """A random number of that many digits, as text."""
        return str(self.random.randrange(10 ** (count - 1), 10**count))
