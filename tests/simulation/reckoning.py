"""What must be true at the end of every life, whatever went wrong in it: the vendor's jobs against the books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from storm import End

from multivideo.errors import LedgerError, MultiVideoError
from multivideo.ledger import book, sql
from multivideo.ledger.records import CHARGED, OPEN, UNCHARGED, AttemptRow, AttemptState, JobRow
from multivideo.ledger.store import Db
from multivideo.sandbox.jobs import Job
from sky import film

if TYPE_CHECKING:
    from life import Life, Wish

__all__ = ["faults_of"]

Books = tuple[list[tuple[JobRow, list[AttemptRow]]], dict[str, int]]
CANNOT_BE_ASKED = {"gemini", "vertex", "litellm"}
_S = AttemptState


def faults_of(life: Life) -> list[str]:
    """Everything that is not as it must be."""
    return list(_Reckoning(life).all())


def _read(db: Db) -> Books:
    rows = [book.job_of(row) for row in db.all(sql.JOBS)]
    known = [(row, [book.attempt_of(each) for each in db.all(sql.ATTEMPTS_OF, job_id=row.id)]) for row in rows]
    return known, {row[0]: row[1] for row in db.all(sql.BALANCES)}


class _Reckoning:
    def __init__(self, life: Life) -> None:
        self.life = life
        nothing: Books = ([], {})
        self.known, self.balances = life.books.read(_read, nothing)
        self.rows = [row for _, rows in self.known for row in rows]
        self.group_of_job = {job.id: life.wishes[int(job.tags["wish"])].group for job, _ in self.known}
        self.jobs = life.emulator.jobs()
        self.of_row = {row.id: job for row in self.rows for job in self.jobs if _is_of(job, row)}

    def all(self) -> Iterator[str]:
        yield from self.life.strays
        yield from self.life.sea.strays
        yield from self._books()
        for group in {wish.group for wish in self.life.wishes}:
            yield from self._group(group)
        yield from self._ends()
        yield from self._money()
        yield from self._told()
        yield from self._videos()
        yield from self._rest()
        yield from self._files()

    def _books(self) -> Iterator[str]:
        try:
            nothing: list[str] = []
            yield from (f"the books: {told}" for told in self.life.books.read(book.verify, nothing))
        except LedgerError as error:
            yield f"the books cannot be proven: {error.what}"

    def _group(self, group: int) -> Iterator[str]:
        """The jobs that the vendor made of the same words against the calls that the books know."""
        rows = [row for row in self.rows if self.group_of_job[row.job_id] == group]
        jobs = self.life.sea.jobs_of(group)
        ids = [row.remote_id for row in rows if row.remote_id is not None]
        if len(set(ids)) != len(ids):
            yield f"doubled in the books: {ids}"
        # what has vanished from its vendor is not found there, and what is not found there counts as never made
        unseen = [job for job in jobs if job not in self.of_row.values() and not job.gone]
        unknown = [row for row in rows if row.state is _S.UNKNOWN]
        if len(unseen) > len(unknown):
            states = Counter(row.state.value for row in rows)
            yield f"lost: {[job.id for job in unseen]} of wish {group} are in the books as nothing; {dict(states)}"
        perhaps = [
            sent for sent in self.life.sea.sent if sent.wish == group and sent.end in {End.PERHAPS, End.ACCEPTED}
        ]
        may = [row for row in rows if row.state not in {_S.REJECTED, _S.VOID, _S.PREPARED}]
        if len(perhaps) > len(may):
            yield f"sent again: {len(perhaps)} requests of wish {group} may be paid, the books know {len(may)}"
        alone = len([row for row in rows if row.state is not _S.VOID]) == 1
        for row in unknown:
            can = row.provider not in CANNOT_BE_ASKED and alone
            found = [job for job in unseen if not _never_ends(job) and job.clips]
            if can and found:
                yield f"not found: {row.id} is {found[0].id}, and {row.provider} could be asked"

    def _ends(self) -> Iterator[str]:
        """What is still open is told, and only what cannot be ended is."""
        report = self.life.reports[-1]
        told = {left.attempt_id for left in report.unresolved}
        running = {job.id for job in report.still_running} | {error.job_id for error in report.failed}
        for job, rows in self.known:
            for row in rows:
                if row.state is _S.UNKNOWN and row.id not in told:
                    yield f"unknown and not told: {row.id}"
                if row.state in {_S.PREPARED, _S.SENDING}:
                    yield f"orphaned: {row.id} is still {row.state}"
                if row.state is _S.ACCEPTED:
                    vendor = self.of_row.get(row.id)
                    if vendor is None or job.id not in running:
                        yield f"orphaned: {row.id} is still accepted and not told ({vendor and vendor.id})"
                    elif not any(_never_ends(self.of_row[one.id]) for one in rows if one.id in self.of_row):
                        yield f"orphaned: {row.id} is {vendor.id}, which could be finished"
            if job.ended_ms is None and not any(row.state in OPEN for row in rows):
                yield f"job {job.id} is not at its end"
            if job.owner is not None:
                yield f"job {job.id} is still leased"

    def _money(self) -> Iterator[str]:
        held = sum(row.held.micro_usd for row in self.rows if row.state in OPEN)
        if held != self.balances.get("held", 0):
            yield f"held is {self.balances.get('held', 0)}, open calls hold {held}"
        spent = sum(micro for name, micro in self.balances.items() if name.startswith("spent:"))
        booked = sum(row.charge.micro_usd for row in self.rows if row.state in CHARGED and row.charge)
        if spent != booked:
            yield f"spent is {spent}, ended calls cost {booked}"
        for row in self.rows:
            job = self.of_row.get(row.id)
            if row.state in CHARGED and row.certainty in {"reported", "derived"} and job is not None:
                charge = row.charge.micro_usd if row.charge else 0
                if charge != self._bill(job, row):
                    yield f"{row.id} is booked at {charge} as {row.certainty}, {job.door} took {job.cost}"
            if row.state in UNCHARGED and row.charge is not None and row.charge.micro_usd:
                yield f"{row.id} is {row.state} and costs {row.charge}"

    def _bill(self, job: Job, row: AttemptRow) -> int:
        """What its vendor took, as its vendor said: a bill that is none counts as its price, and is no report."""
        factor = self.life.sea.bills.get(job.id, Decimal(1))
        if factor is None:
            return job.cost if row.certainty == "derived" else -1
        return int(job.cost * factor)

    def _told(self) -> Iterator[str]:
        """Each error is ours, and says of the money what is so."""
        jobs = {job.id: rows for job, rows in self.known}
        for told in self.life.told:
            error, wish = told.error, told.wish
            if error is None or wish.client in self.life.dead:
                continue
            if not isinstance(error, MultiVideoError):
                yield f"user {wish.number} was told a foreign {error!r}"
                continue
            rows = jobs.get(error.job_id or "", [])
            made = self.life.sea.jobs_of(wish.group)
            name = f"user {wish.number} was told {type(error).__name__} ({error.charged}): {error.what}"
            mine = [self.of_row[row.id] for row in rows if row.id in self.of_row]
            if error.charged == "no" and any(job.cost for job in mine or (made if self._is_alone(wish) else ())):
                yield f"{name}, and {[job.id for job in made]} cost something"
            if error.charged in {"held", "unknown"} and not rows:
                yield f"{name}, and the books know no such job"
            if error.charged == "yes" and not made:
                yield f"{name}, and the vendor made nothing"

    def _is_alone(self, wish: Wish) -> bool:
        """Whether what was made of its words was made for it."""
        return sum(other.group == wish.group for other in self.life.wishes) == 1

    def _videos(self) -> Iterator[str]:
        """Each file belongs to the wish whose video it is."""
        videos = [(told.wish.group, told.video) for told in self.life.told if told.video is not None]
        for report in self.life.reports:
            videos += [(self.group_of_job[video.job_id], video) for video in report.videos]
        for group, video in videos:
            mine = [film(clip) for job in self.life.sea.jobs_of(group) for clip in job.clips]
            for take in video.takes or (video,):
                if not take.path.exists():
                    yield f"{take.path.name} is not there"
                elif take.check.ok and take.path.read_bytes() not in mine:
                    yield f"{take.path.name} is not a video of wish {group}"

    def _rest(self) -> Iterator[str]:
        """Nothing waits, runs or is open any more."""
        for number, client in enumerate(self.life.clients):
            if number in self.life.dead:
                continue
            if self.life.lines[number].open_now:
                yield f"client {number} has {self.life.lines[number].open_now} answers open"
            for site in client._driver.sites.values():
                health = site.health(self.life.clock.monotonic())
                if any(use.waiting for use in health.slots.values()):
                    yield f"client {number}: somebody still waits for a place at {health.provider}"
                if site.poller._line.size or site.poller._leader is not None:
                    yield f"client {number}: the poller of {health.provider} is not at rest"
                for kind, state in health.breakers.items():
                    if state == "half-open" and kind in health.rests_s:
                        yield f"client {number}: a trial of {health.provider} never ended"
                open_ids = {row.id for row in self.rows if row.state in OPEN}
                for name, slots in site.gate.slots.items():
                    if number == len(self.life.clients) - 1 and not slots._taken.keys() <= open_ids:
                        yield f"client {number}: places of {name} are taken by ended {slots._taken.keys() - open_ids}"

    def _files(self) -> Iterator[str]:
        for path in self.life.folder.rglob("*"):
            if path.is_file() and (path.suffix not in {".mp4", ".json"} or path.name.startswith(".")):
                yield f"{path.name} is left"


def _is_of(job: Job, row: AttemptRow) -> bool:
    """Whether a call knows the vendor's job: by its id, or by the folder that it alone writes to."""
    if row.remote_id is None:
        return False
    return job.id in row.remote_id or (row.remote_id.startswith("gs://") and row.id in str(job.request))


def _never_ends(job: Job) -> bool:
    """Whether a fault of the job itself lasts, so that nobody can bring it to an end."""
    return job.gone or any(job.script.find(name) for name in ("stuck", "expired", "link_expires"))
