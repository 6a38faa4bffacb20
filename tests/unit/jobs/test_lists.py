from __future__ import annotations

from collections.abc import Iterable, Sequence

from multivideo.jobs.lists import PAGE, Places, Reading


class Listing:
    """A vendor's list, newest first, whose cursors name the last job of the page before."""

    def __init__(self, count: int) -> None:
        self.jobs = [f"job-{number}" for number in range(count)]
        self.gone: set[str] = set()
        self.read: list[str] = []

    def page(self, cursor: str) -> tuple[list[str], str | None]:
        self.read.append(cursor)
        newest = self.jobs[::-1]
        start = newest.index(cursor) + 1 if cursor else 0
        rows = newest[start : start + PAGE]
        return [job for job in rows if job not in self.gone], rows[-1] if start + PAGE < len(newest) else None


def read(places: Places, listing: Listing, wanted: Iterable[str], waiting: Sequence[str]) -> tuple[Reading, set[str]]:
    """Read all that is planned; the reading, and the jobs that it showed."""
    reading = places.plan(set(wanted), set(waiting))
    assert reading is not None
    seen: set[str] = set()
    while pages := reading.following(8):
        for cursor in pages:
            shown, following = listing.page(cursor)
            places.saw(reading, cursor, following, [job for job in shown if job in waiting])
            seen.update(shown)
    places.end(reading, set(waiting))
    return reading, seen


def test_the_first_look_walks_from_the_top_until_all_are_found() -> None:
    listing, places = Listing(1000), Places()
    waiting = listing.jobs[400:]
    reading, seen = read(places, listing, waiting, waiting)
    assert set(waiting) <= seen
    assert len(listing.read) == 6
    assert reading.pays


def test_later_only_the_pages_are_read_that_show_what_is_wanted_all_at_once() -> None:
    listing, places = Listing(1000), Places()
    read(places, listing, listing.jobs, listing.jobs)
    listing.read.clear()
    wanted = listing.jobs[200:400]
    reading = places.plan(set(wanted), set(listing.jobs))
    assert reading is not None
    assert len(reading.following(8)) == 2
    assert set(wanted) <= read(places, listing, wanted, listing.jobs)[1]


def test_new_jobs_are_found_near_the_top_and_those_that_moved_from_it_too() -> None:
    listing, places = Listing(1000), Places()
    read(places, listing, [], listing.jobs)
    listing.jobs += [f"job-{number}" for number in range(1000, 1150)]
    listing.read.clear()
    read(places, listing, [], listing.jobs)
    assert len(listing.read) == 3
    listing.read.clear()
    _, seen = read(places, listing, listing.jobs, listing.jobs)
    assert set(listing.jobs) <= seen
    assert len(listing.read) <= 13


def test_a_page_for_one_job_is_not_read() -> None:
    listing, places = Listing(1000), Places()
    read(places, listing, [], listing.jobs)
    assert places.plan({"job-5"}, set(listing.jobs)) is None
    assert places.plan({"job-5", "job-6"}, set(listing.jobs)) is not None
    assert places.plan({"job-5", "job-906"}, set(listing.jobs)) is None


def test_what_a_walk_does_not_find_is_not_looked_for_again() -> None:
    listing, places = Listing(1000), Places()
    foreign = [f"foreign-{number}" for number in range(300)]
    waiting = [*listing.jobs[900:], *foreign]
    read(places, listing, waiting, waiting)
    assert len(listing.read) == 10
    assert all(places.knows(job) for job in foreign)
    assert places.plan(set(foreign), set(waiting)) is None


def test_a_walk_costs_at_most_half_of_what_asking_for_each_would() -> None:
    listing, places = Listing(10_000), Places()
    waiting = [f"foreign-{number}" for number in range(PAGE)]
    reading, _ = read(places, listing, waiting, waiting)
    assert len(listing.read) == 51
    assert not reading.pays


def test_a_job_that_has_left_its_page_loses_its_place_and_one_that_is_forgotten_too() -> None:
    listing, places = Listing(400), Places()
    read(places, listing, [], listing.jobs)
    listing.gone = {"job-5"}
    read(places, listing, ["job-5", "job-6", "job-7"], listing.jobs)
    assert not places.knows("job-5")
    assert places.knows("job-6")
    places.forget("job-6")
    assert not places.knows("job-6")


def test_a_page_that_was_not_read_after_all_is_read_next() -> None:
    listing, places = Listing(400), Places()
    waiting = listing.jobs
    reading = places.plan(set(waiting), set(waiting))
    assert reading is not None
    [top] = reading.following(8)
    assert reading.following(8) == []
    reading.put_back(top)
    assert reading.following(8) == [top]
    read(places, listing, waiting, waiting)
    known = places.plan(set(waiting), set(waiting))
    assert known is not None
    pages = known.following(8)
    known.put_back(pages[0])
    assert known.following(8) == pages[:1]
