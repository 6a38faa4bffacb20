"""The books beside a model in plain Python: every step is done in both, and they must tell the same."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from multivideo.errors import BudgetExceeded, InsufficientCredits, InvalidRequest, LedgerError
from multivideo.ledger import book, sql
from multivideo.ledger.records import CHARGED, MOVES, OPEN, UNCHARGED, AttemptState, Budget, NewAttempt, NewJob
from multivideo.ledger.store import Db
from multivideo.values.credits import Credits

T = TypeVar("T")
TABLES = ("meta", "jobs", "job_tags", "attempts", "entries", "balances", "budgets", "budget_use", "budget_holds")
DAY_MS = 86_400_000
START_MS = 1_785_542_400_000  # 2026-08-01
STATES = list(AttemptState)
TAGS: tuple[dict[str, str], ...] = ({}, {"project": "coast"}, {"project": "coast", "shot": "1"})
MADE = (("veo", "veo-3.1"), ("kling", "kling-3.0"))
SCOPES: tuple[dict[str, Any], ...] = ({}, {"model": "veo-3.1"}, {"provider": "kling"}, {"tags": {"project": "coast"}})
amounts = st.integers(0, 12)
whole = st.sampled_from(STATES)


def examples(few: int, steps: int = 30) -> settings:
    """So many runs, more where MULTIVIDEO_EXAMPLES says so."""
    many = int(os.environ.get("MULTIVIDEO_EXAMPLES", few))
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    return settings(max_examples=many, stateful_step_count=steps, deadline=None, suppress_health_check=slow)


class Books(Protocol):
    """Where the books under test lie."""

    def write(self, work: Callable[[Db], T]) -> T: ...
    def close(self) -> None: ...


def micro(amount: int) -> Credits:
    return Credits(micro_usd=amount)


def everything(db: Db) -> dict[str, list[tuple[Any, ...]]]:
    """What stands in every table."""
    return {table: sorted(db.all(f"SELECT * FROM {table}"), key=repr) for table in TABLES}


@define
class Paid:
    """An attempt, as the model knows it."""

    job: NewJob
    new: NewAttempt
    budgets: list[tuple[str, str]]
    state: AttemptState = AttemptState.PREPARED
    remote: str | None = None
    charge: int = 0
    certainty: str | None = None
    closed: tuple[int, str] | None = None
    corrected: bool = False

    @property
    def held(self) -> int:
        return self.new.held.micro_usd


@define
class Model:
    """The rules of the account, without any of its code."""

    wallet: int = 0
    funded: int = 0
    owed: int = 0
    spent: Counter[str] = field(factory=Counter)
    attempts: dict[str, Paid] = field(factory=dict)
    budgets: dict[str, Budget] = field(factory=dict)
    used: Counter[tuple[str, str]] = field(factory=Counter)
    ended: set[str] = field(factory=set)
    filed: set[str] = field(factory=set)

    def take_in(self, amount: int) -> None:
        """Whatever comes into a funded wallet pays back what is owed."""
        self.wallet += amount
        back = max(0, min(self.wallet, self.owed))
        self.wallet, self.owed = self.wallet - back, self.owed - back

    def fund(self, amount: int) -> None:
        self.funded += amount
        self.take_in(amount)
        if self.wallet < 0:
            self.wallet, self.owed = 0, self.owed - self.wallet

    def bill(self, provider: str, amount: int) -> None:
        """What goes beyond a hold: out of the wallet, and where that is guarded and empty, owed."""
        self.spent[provider] += amount
        here = min(amount, max(0, self.wallet)) if self.funded else amount
        self.wallet, self.owed = self.wallet - here, self.owed + amount - here

    def refusal(self, paid: Paid, now_ms: int) -> type[Exception] | None:
        if self.funded and paid.held > self.wallet:
            return InsufficientCredits
        for name, period in self.scope(paid, now_ms):
            if self.used[name, period] + paid.held > self.budgets[name].amount.micro_usd:
                return BudgetExceeded
        return None

    def scope(self, paid: Paid, now_ms: int) -> list[tuple[str, str]]:
        day = 1 + (now_ms - START_MS) // DAY_MS
        periods = {"day": f"2026-08-{day:02}", "month": "2026-08", "ever": "ever"}
        return [
            (budget.id, periods[budget.period])
            for budget in self.budgets.values()
            if budget.model in (None, paid.new.model) and budget.provider in (None, paid.new.provider)
            if all(paid.job.tags.get(name) == value for name, value in budget.tags.items())
        ]

    def close(self, job_id: str) -> None:
        """A job is at its end once none of its attempts is open."""
        if not any(paid.job.id == job_id and paid.state in OPEN for paid in self.attempts.values()):
            self.ended.add(job_id)

    def hold(self, paid: Paid) -> None:
        self.attempts[paid.new.id] = paid
        self.ended.discard(paid.job.id)
        self.wallet -= paid.held
        for key in paid.budgets:
            self.used[key] += paid.held

    def count(self, paid: Paid, amount: int) -> None:
        for key in paid.budgets:
            self.used[key] += amount

    def balances(self) -> dict[str, int]:
        held = sum(paid.held for paid in self.attempts.values() if paid.state in OPEN)
        accounts = {"funding": -self.funded, "wallet": self.wallet, "held": held, "overdraft": -self.owed}
        accounts |= {f"spent:{provider}": amount for provider, amount in self.spent.items()}
        return {name: amount for name, amount in accounts.items() if amount}


class LedgerMachine(RuleBasedStateMachine):
    """Steps of users and drivers in any order, allowed or not."""

    books: Books

    def open(self) -> Books:
        raise NotImplementedError  # each kind of books says how it is opened; hypothesis takes no abstract class

    @initialize()
    def begin(self) -> None:
        self.books, self.model, self.now_ms = self.open(), Model(), START_MS
        self.dumped = self.dump()

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.books.close()

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        return self.books.write(everything)

    def do(self, work: Callable[[Db], object], refused: type[Exception] | None = None, *, changes: bool = True) -> None:
        """A step in the books; what is refused, or was done before, must change nothing in any table."""
        told: Exception | None = None
        try:
            self.books.write(work)
        except (LedgerError, InvalidRequest, InsufficientCredits, BudgetExceeded) as error:
            told = error
        assert (type(told) if told else None) == refused, told
        before, self.dumped = self.dumped, self.dump()
        if refused is not None or not changes:
            assert self.dumped == before

    def some(self, data: st.DataObject) -> Paid:
        return self.model.attempts[data.draw(st.sampled_from(sorted(self.model.attempts)))]

    @rule(days=st.integers(1, 3))
    def time_passes(self, days: int) -> None:
        self.now_ms = min(self.now_ms + days * DAY_MS, START_MS + 27 * DAY_MS)

    @rule(amount=st.integers(-1, 40))
    def fund(self, amount: int) -> None:
        def work(db: Db) -> None:
            book.fund(db, micro(amount), "note", now_ms=self.now_ms, live=True)

        if amount > 0:
            self.model.fund(amount)
        self.do(work, None if amount > 0 else InvalidRequest)

    @rule(
        amount=st.integers(0, 30),
        scope=st.integers(0, len(SCOPES) - 1),
        period=st.sampled_from(["day", "month", "ever"]),
    )
    def set_budget(self, amount: int, scope: int, period: str) -> None:
        budget = Budget(id=f"{period} {scope}", amount=micro(amount), period=period, **SCOPES[scope])
        self.model.budgets[budget.id] = budget
        self.now_ms += 1  # budgets are asked in the order in which they were set
        self.do(lambda db: book.add_budget(db, budget, now_ms=self.now_ms))

    @rule(scope=st.integers(0, len(SCOPES) - 1), period=st.sampled_from(["day", "month", "ever"]))
    def remove_budget(self, scope: int, period: str) -> None:
        name = f"{period} {scope}"
        known = self.model.budgets.pop(name, None)
        for paid in self.model.attempts.values():
            paid.budgets = [key for key in paid.budgets if key[0] != name]
        for key in [key for key in self.model.used if key[0] == name]:
            del self.model.used[key]
        self.do(lambda db: book.remove_budget(db, name), InvalidRequest if known is None else None)

    def prepare(self, job: NewJob, new: NewAttempt) -> Callable[[Db], None]:
        return lambda db: book.prepare(db, job, new, now_ms=self.now_ms, owner="me", lease_ms=self.now_ms, live=True)

    @rule(held=amounts, tags=st.integers(0, 2), made=st.integers(0, 1), data=st.data())
    def hold(self, held: int, tags: int, made: int, data: st.DataObject) -> None:
        jobs = [paid.job for paid in self.model.attempts.values()]
        fresh = NewJob(id=f"job-{len(jobs)}", request_print="print", prompt_print="p", tags=TAGS[tags])
        job = data.draw(st.sampled_from([fresh, *jobs]))
        (provider, model), name = MADE[made], f"attempt-{len(jobs)}"
        new = NewAttempt(id=name, job_id=job.id, provider=provider, model=model, call="{}", held=micro(held))
        paid = Paid(job, new, [])
        paid.budgets = self.model.scope(paid, self.now_ms)
        refused = self.model.refusal(paid, self.now_ms)
        if refused is None:
            self.model.hold(paid)
        self.do(self.prepare(job, new), refused)

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data(), change=st.sampled_from(["", "held", "call", "model", "segment", "print", "tags"]))
    def hold_again(self, data: st.DataObject, change: str) -> None:
        paid = self.some(data)
        job, new = paid.job, paid.new
        tags = {"other": "1"} if change == "tags" else job.tags
        same = NewJob(id=job.id, request_print=f"print{change == 'print' or ''}", prompt_print="p", tags=tags)
        call, model = "[]" if change == "call" else new.call, "x" if change == "model" else new.model
        held, segment = new.held + micro(int(change == "held")), new.segment + (change == "segment")
        again = NewAttempt(
            id=new.id, job_id=job.id, segment=segment, provider=new.provider, model=model, call=call, held=held
        )
        work = self.prepare(same, again)
        self.do(work, LedgerError if change else None, changes=False)

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        paid = self.some(data)
        right = paid.state is AttemptState.PREPARED
        paid.state = AttemptState.SENDING if right else paid.state
        self.do(lambda db: book.sending(db, paid.new.id, now_ms=self.now_ms), None if right else LedgerError)

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data(), remote=st.sampled_from(["vendor-1", "vendor-2"]))
    def accept(self, data: st.DataObject, remote: str) -> None:
        paid = self.some(data)
        right = paid.state in {AttemptState.SENDING, AttemptState.UNKNOWN}
        refused = None if right or paid.remote == remote else LedgerError
        if right:
            paid.state, paid.remote = AttemptState.ACCEPTED, remote
            self.model.ended.discard(paid.job.id)
        self.do(lambda db: book.accept(db, paid.new.id, remote, now_ms=self.now_ms), refused, changes=right)

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        paid = self.some(data)
        right = paid.state is AttemptState.SENDING
        again = paid.state is AttemptState.UNKNOWN
        paid.state = AttemptState.UNKNOWN if right else paid.state
        work: Callable[[Db], None] = lambda db: book.unknown(db, paid.new.id, "lost")  # noqa: E731
        self.do(work, None if right or again else LedgerError, changes=right)

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data(), state=whole)
    def void(self, data: st.DataObject, state: AttemptState) -> None:
        paid = self.some(data)
        again = paid.state is state and state in UNCHARGED
        right = state in UNCHARGED and state in MOVES.get(paid.state, ())
        if right:
            self.model.take_in(paid.held)
            self.model.count(paid, -paid.held)
            paid.state = state
        self.do(
            lambda db: book.void(db, paid.new.id, state, "no", now_ms=self.now_ms, live=True),
            None if right or again else LedgerError,
            changes=right,
        )

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data(), state=whole, charge=amounts, certainty=st.sampled_from(["reported", "derived", "assumed"]))
    def end(self, data: st.DataObject, state: AttemptState, charge: int, certainty: str) -> None:
        paid = self.some(data)
        again = paid.state is state and paid.closed == (charge, certainty)
        right = state in CHARGED and state in MOVES.get(paid.state, ())
        if right:
            self.settle(paid, state, charge, certainty)
        self.do(
            lambda db: book.end(db, paid.new.id, state, micro(charge), certainty, now_ms=self.now_ms, live=True),
            None if right or again else LedgerError,
            changes=right,
        )

    def settle(self, paid: Paid, state: AttemptState, charge: int, certainty: str) -> None:
        within = min(charge, paid.held)
        self.model.spent[paid.new.provider] += within
        self.model.take_in(paid.held - within) if paid.held > within else None
        self.model.bill(paid.new.provider, charge - within)
        self.model.count(paid, charge - paid.held)
        paid.state, paid.charge, paid.certainty, paid.closed = state, charge, certainty, (charge, certainty)

    @precondition(lambda self: self.model.attempts)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(["charged", "not_charged", "perhaps"]),
        amount=st.none() | st.integers(-1, 20),
    )
    def resolve(self, data: st.DataObject, outcome: str, amount: int | None) -> None:
        paid = self.some(data)
        lost = paid.state is AttemptState.UNKNOWN
        assumed = paid.state in CHARGED and paid.certainty == "assumed"
        said = amount is None or (amount > 0 and outcome == "charged")
        right = (lost or assumed) and outcome != "perhaps" and said
        if right:
            charge = (amount or paid.charge or paid.held) if outcome == "charged" else 0
            self.take_at_their_word(paid, charge if outcome == "charged" or assumed else None)
        given = None if amount is None else micro(amount)
        self.do(
            lambda db: book.resolve(
                db, paid.new.id, outcome, given, by="ops", note="seen", now_ms=self.now_ms, live=True
            ),
            None if right else InvalidRequest,
        )
        if right:
            lines = [line for line in map(book.entry_of, self.dumped["entries"]) if line.attempt_id == paid.new.id]
            assert ("seen", "ops") in {(line.note, line.by) for line in lines}

    def take_at_their_word(self, paid: Paid, charge: int | None) -> None:
        """A charge that somebody tells, None: there was no job."""
        lost = paid.state is AttemptState.UNKNOWN
        if charge is None:
            self.model.take_in(paid.held)
            self.model.count(paid, -paid.held)
            paid.state = AttemptState.ABSENT
        elif lost:
            self.settle(paid, AttemptState.SUCCEEDED, charge, "reported")
        else:
            if charge > paid.charge:
                self.model.bill(paid.new.provider, charge - paid.charge)
            else:
                self.model.spent[paid.new.provider] -= paid.charge - charge
                self.model.take_in(paid.charge - charge)
            self.model.count(paid, charge - paid.charge)
            paid.charge, paid.certainty = charge, "reported"
        if lost:
            self.model.close(paid.job.id)

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data(), amount=amounts)
    def refund(self, data: st.DataObject, amount: int) -> None:
        paid = self.some(data)
        right = paid.state in CHARGED and 0 < amount <= paid.charge
        if right:
            paid.charge -= amount
            self.model.spent[paid.new.provider] -= amount
            self.model.take_in(amount)
            self.model.count(paid, -amount)
        self.do(
            lambda db: book.refund(db, paid.new.id, micro(amount), note="back", now_ms=self.now_ms, live=True),
            None if right else InvalidRequest,
        )

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data())
    def end_job(self, data: st.DataObject) -> None:
        paid = self.some(data)
        self.model.close(paid.job.id)
        self.model.filed.add(paid.job.id)
        self.do(lambda db: book.end_job(db, paid.job.id, ("a.mp4",), now_ms=self.now_ms))

    @invariant()
    def the_model_and_the_books_agree(self) -> None:
        balances = {name: amount for name, amount in self.dumped["balances"] if amount}
        assert balances == self.model.balances()
        used = {(name, period): amount for name, period, amount in self.dumped["budget_use"] if amount}
        assert used == {key: amount for key, amount in self.model.used.items() if amount}
        rows = {row.id: row for row in map(book.attempt_of, self.books.write(lambda db: db.all(ALL_ATTEMPTS)))}
        assert {name: row.state for name, row in rows.items()} == {
            name: paid.state for name, paid in self.model.attempts.items()
        }
        for name, paid in self.model.attempts.items():
            charge = rows[name].charge
            assert (charge.micro_usd if charge else 0, rows[name].certainty) == (paid.charge, paid.certainty)

    @invariant()
    def the_rules_of_the_account_hold(self) -> None:
        entries = list(map(book.entry_of, self.dumped["entries"]))
        balances: Counter[str] = Counter()
        for entry in entries:
            assert entry.amount.micro_usd >= 0
            balances[entry.debit] += entry.amount.micro_usd
            balances[entry.credit] -= entry.amount.micro_usd
        assert sum(balances.values()) == 0
        assert balances["wallet"] >= 0 or balances["funding"] == 0
        assert balances["held"] >= 0
        for paid in self.model.attempts.values():
            own = [entry for entry in entries if entry.attempt_id == paid.new.id]
            kinds = Counter(entry.kind for entry in own)
            assert kinds["hold"] == 1
            assert kinds["settle"] + kinds["void"] == (0 if paid.state in OPEN else 1)
            settled = sum(entry.amount.micro_usd for entry in own if entry.kind == "settle")
            assert settled <= paid.held
            assert paid.charge <= settled or kinds["overage"]

    @invariant()
    def the_proof_of_the_books_finds_nothing(self) -> None:
        assert self.books.write(book.verify) == []

    @invariant()
    def jobs_are_at_their_end_where_the_model_says_so_and_keep_their_files(self) -> None:
        jobs = list(map(book.job_of, self.books.write(lambda db: db.all(sql.JOBS))))
        assert {job.id for job in jobs if job.ended_ms is not None} == self.model.ended
        assert {job.id for job in jobs if job.files} == self.model.filed
        busy = {paid.job.id for paid in self.model.attempts.values() if paid.state in OPEN - {AttemptState.UNKNOWN}}
        assert self.model.ended & busy == set()


ALL_ATTEMPTS = f"SELECT {sql.ATTEMPT_COLUMNS} FROM attempts"
