"""Which pages of a vendor's list show the jobs that are waited for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import define, field

__all__ = ["PAGE", "TOP", "Places", "Reading"]

PAGE = 100
PAYS = 2  # jobs that a page must show to be worth it: each would cost a request of its own
TOP = ""  # the page without a cursor: the only one whose jobs move on to another as the list grows


@define(eq=False)
class Reading:
    """One look at many jobs by the list: the pages known to show some, then a walk from the top for the others."""

    pages: list[str]
    """Those that are still to be read."""
    shown_there: dict[str, set[str]]
    """What each of them showed last."""
    strangers: set[str]
    """Jobs of which no page is known: the walk ends once all are found."""
    walk: str | None
    """The next page of the walk, None: there is none to read."""
    budget: int
    """Pages that the walk may still read."""
    read: int = 0
    found: int = 0

    def following(self, most: int) -> list[str]:
        """Pages that may be read at once, as many as that; of the walk only one, since each page names the next."""
        if self.pages:
            taken, self.pages = self.pages[:most], self.pages[most:]
            return taken
        if self.walk is None or self.budget <= 0 or not self.strangers:
            return []
        walk, self.walk, self.budget = self.walk, None, self.budget - 1
        return [walk]

    def put_back(self, cursor: str) -> None:
        """A page was not read after all."""
        if cursor in self.shown_there:
            self.pages.append(cursor)
        else:
            self.walk, self.budget = cursor, self.budget + 1

    @property
    def pays(self) -> bool:
        """Whether it cost less than a request for each of our jobs that it showed."""
        return self.found >= self.read


@define(eq=False)
class Places:
    """Behind which cursor each job was seen last. A job keeps its place, since a list grows at its top.

    New jobs are looked for while they still stand near the top, before anybody wants to know how they are: so later
    only the pages are read that show what is wanted, and many of them at once.
    """

    _places: dict[str, str] = field(factory=dict)
    _at_top: set[str] = field(factory=set)
    _unlisted: set[str] = field(factory=set)
    """Jobs that a walk did not find: no other is made for them."""

    def knows(self, job: str) -> bool:
        """Whether it is known where the job stands, or that it is not to be found."""
        return job in self._places or job in self._unlisted

    def plan(self, wanted: Collection[str], waiting: Collection[str]) -> Reading | None:
        """How to see those jobs, of all that are waited for; None: asking for each is not dearer."""
        there: dict[str, set[str]] = {}
        for job in wanted:
            if (place := self._places.get(job)) is not None:
                there.setdefault(place, set()).add(job)
        if PAYS * len(there) > sum(map(len, there.values())):
            there = {}
        strangers = {job for job in waiting if not self.knows(job)}
        depth = len(waiting) // PAGE + 1  # the list has as many pages at least
        walks = len(strangers) >= PAGE or len(strangers.intersection(wanted)) >= PAYS * depth
        if walks:
            there.pop(TOP, None)  # the walk begins there
        if not (there or walks):
            return None
        budget = len(strangers) // PAYS + 1
        return Reading(list(there), there, strangers if walks else set(), TOP if walks else None, budget)

    def saw(self, reading: Reading, cursor: str, following: str | None, shown: Iterable[str]) -> None:
        """Note which of our jobs a page showed, and which page follows it."""
        here = set(shown)
        expected = reading.shown_there.pop(cursor, None)
        if cursor == TOP:
            moved = self._at_top - here
            self._at_top = set(here)
            reading.strangers |= moved if expected is None else set()
        else:
            moved = (expected or set()) - here
            self._at_top -= here
        for job in moved:
            self._places.pop(job, None)
        if expected is None:
            reading.walk = following
        self._places.update(dict.fromkeys(here, cursor))
        self._unlisted -= here
        reading.strangers -= here
        reading.read += 1
        reading.found += len(here)

    def end(self, reading: Reading, waiting: Collection[str]) -> None:
        """Note what the walk did not find of what is still waited for."""
        self._unlisted |= reading.strangers.intersection(waiting)

    def forget(self, job: str) -> None:
        """Drop all that is known of a job: nobody waits for it any more."""
        self._places.pop(job, None)
        self._at_top.discard(job)
        self._unlisted.discard(job)
