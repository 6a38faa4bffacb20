"""The credit account over all vendors, as users see it: `client.credits`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

from attrs import define, field

from ..clock import Clock
from ..errors import InvalidRequest, LedgerError, Problem
from ..values.credits import Credits, dollars
from . import book, given, reports
from .given import Moment
from .records import Budget
from .reports import Unresolved
from .statement import Statement, write_rows
from .store import Db, Store

__all__ = ["CreditAccount"]

ZERO = Credits(micro_usd=0)


@define(eq=False, repr=False)
class CreditAccount:
    """One account in one unit over all vendors: what is there, what is held, what was spent, and on what.

    Nothing is written before the first write of your own or the first paid call; until then everything is zero. Times
    are UTC: `since` is the first moment that counts, `until` the first that does not; a date means its 0:00, and a
    time without a zone is read as UTC.
    """

    _store: Store
    _clock: Clock
    _flagships: Mapping[str, str] = field(factory=dict)  # what a family's name means as the model of a budget

    @property
    def balance(self) -> Credits:
        """What can still be spent. Below zero: spent without funds, or billed beyond them."""
        return self._store.read(lambda db: book.balance(db, book.WALLET) + book.balance(db, book.OVERDRAFT), ZERO)

    @property
    def held(self) -> Credits:
        """What is set aside for jobs whose cost is not known yet."""
        return self._store.read(lambda db: book.balance(db, book.HELD), ZERO)

    def fund(self, amount: Credits, *, note: str = "") -> None:
        """Put credits into the account: from now on it is prepaid, and nothing starts that it does not hold.

        Args:
            amount: more than nothing: `mv.usd("50")`.
            note: kept in the books.
        Raises: InvalidRequest.
        """
        given.stop([*given.amount(amount, above_nothing=True), *given.text("note", note, needed=False)])

        def work(db: Db) -> None:
            try:
                _ = book.balance(db, book.FUNDING) - amount  # a sum beyond 64 bits would be kept as a float
            except ValueError:
                most = "funds of 9.2 trillion US dollars in all"
                raise InvalidRequest.of([Problem("amount", dollars(amount), most)]) from None
            book.fund(db, amount, note, now_ms=self._now(), live=self._store.live)

        self._store.write(work)

    def budget(
        self,
        amount: Credits,
        *,
        tags: Mapping[str, str] | None = None,
        model: str | None = None,
        provider: str | None = None,
        period: Literal["ever", "day", "month"] = "ever",
    ) -> Budget:
        """Limit what jobs may cost: one that could pass it is refused with BudgetExceeded before anything is sent.

        A budget of the same scope and period gets the new amount. What is held counts as spent; jobs that were sent
        before the budget was set do not count.

        Args:
            amount: for each period; nothing at all stops such jobs.
            tags: only jobs with all of these.
            model: only jobs of this model: an id, or a family's name for its flagship.
            provider: only jobs at this provider, by its name in the plan.
            period: a "day" or a "month" from 0:00 UTC, or "ever".
        Raises: InvalidRequest naming every field that is wrong.
        """
        problems = [
            *given.amount(amount),
            *given.tags(tags),
            *given.word("model", model),
            *given.word("provider", provider),
        ]
        given.stop([*problems, *given.period(period)])
        model = None if model is None else self._flagships.get(model, model)
        scope = dict(sorted((tags or {}).items()))
        name = _name(period, model, provider, scope)
        limit = Budget(id=name, amount=amount, period=period, model=model, provider=provider, tags=scope)
        self._store.write(lambda db: book.add_budget(db, limit, now_ms=self._now()))
        return limit

    def remove_budget(self, budget: Budget | str) -> None:
        """Take a budget away: it limits nothing any more. What is held or spent stays as it is.

        The same budget set again later counts what is sent from then on.

        Args:
            budget: one of `budgets()`, or its id.
        Raises: InvalidRequest where there is no such budget.
        """
        name = budget.id if isinstance(budget, Budget) else budget
        known = [each.id for each in self.budgets()]
        if name not in known:
            allowed = (
                f"one of {', '.join(map(given.shown, known))}" if known else "a budget that was set: there is none"
            )
            given.stop([Problem("budget", given.shown(name), allowed)])
        self._store.write(lambda db: book.remove_budget(db, name))

    def budgets(self) -> dict[Budget, Credits]:
        """Every budget, with what is left of it in its present period; what is held counts as gone."""
        return self._store.read(lambda db: reports.budgets_left(db, self._now()), {})

    @overload
    def spent(self, by: None = None, *, since: Moment = None, until: Moment = None) -> Credits: ...
    @overload
    def spent(self, by: str, *, since: Moment = None, until: Moment = None) -> dict[str, Credits]: ...

    def spent(
        self, by: str | None = None, *, since: Moment = None, until: Moment = None
    ) -> Credits | dict[str, Credits]:
        """What was charged, less what was given back; holds are not part of it.

        Args:
            by: left out: one amount. Else one for each "model", "provider", "brief", "day" (UTC), "certainty"
                ("reported" by the vendor, "derived" from its prices, "assumed") or value of a tag: "tag:project".
                What has no brief or no such tag stands under "".
            since: the first moment that counts; left out: all before `until`.
            until: the first moment that does not; left out: all since then.
        Raises: InvalidRequest naming every field that is wrong.
        """
        span = given.span(since, until, given.group(by))
        if by is None:
            return self._store.read(lambda db: reports.spent_in_all(db, span), ZERO)
        nothing = dict.fromkeys(reports.CERTAINTIES if by == "certainty" else (), ZERO)
        return self._store.read(lambda db: reports.spent_by(db, by, span), nothing)

    def statement(self, since: Moment = None, until: Moment = None) -> Statement:
        """Every line of the books in a time, oldest first; `print` shows a table.

        Raises: InvalidRequest.
        """
        rows = tuple(reports.rows_between(self._store, given.span(since, until)))
        return Statement(rows)

    def export(self, path: str | os.PathLike[str], since: Moment = None, until: Moment = None) -> Path:
        """Write the statement to a file, ".csv" or ".json", whole or not at all. Amounts are exact, as text in USD.

        Raises: InvalidRequest; LedgerError where it cannot be written.
        """
        span = given.span(since, until, given.path(path))
        target = Path(os.fspath(path)).expanduser()
        write_rows(reports.rows_between(self._store, span), target)
        return target

    def unresolved(self) -> tuple[Unresolved, ...]:
        """Every paid submit whose outcome is not known, and every end whose cost is only assumed."""
        return self._store.read(reports.unresolved, ())

    def resolve(
        self,
        attempt_id: str,
        *,
        outcome: Literal["charged", "not_charged"],
        amount: Credits | None = None,
        by: str,
        note: str,
    ) -> None:
        """Say what became of an attempt that nobody can look up, or whether a cost that was assumed is true.

        A job of which it was the last open attempt is at its end with it.

        Args:
            attempt_id: of `unresolved()`.
            outcome: "charged": it is spent; "not_charged": it is given back.
            amount: what was charged; left out: what is held, or what was assumed. Of less the rest of the hold is
                given back, of more the rest is written as overage.
            by: who says so.
            note: how that is known.
        Raises: InvalidRequest naming every field that is wrong.
        """
        problems = [*given.outcome(outcome), *given.charged(amount, outcome)]
        problems += [*given.text("by", by), *given.text("note", note)]
        self._stop_unless_known(attempt_id, problems)
        self._store.write(
            lambda db: book.resolve(
                db, attempt_id, outcome, amount, by=by, note=note, now_ms=self._now(), live=self._store.live
            )
        )

    def refund(self, attempt_id: str, amount: Credits, *, note: str) -> None:
        """Write down what a vendor gave back after the end.

        Args:
            attempt_id: of `statement()`.
            amount: at most what was charged.
            note: how that is known.
        Raises: InvalidRequest naming every field that is wrong.
        """
        problems = [*given.amount(amount, above_nothing=True), *given.text("note", note)]
        self._stop_unless_known(attempt_id, problems)
        self._store.write(
            lambda db: book.refund(db, attempt_id, amount, note=note, now_ms=self._now(), live=self._store.live)
        )

    def verify(self) -> None:
        """Build all amounts again from the lines of the books, and compare.

        Raises: LedgerError naming every difference.
        """
        nothing: list[str] = []
        found = self._store.read(book.verify, nothing)
        if found:
            raise LedgerError(
                f"The books do not agree with themselves: {'; '.join(found)}.",
                hint="put a copy of the file aside, and restore a backup or tell us",
                cost="no, nothing was sent",
            )

    def __repr__(self) -> str:
        where = "in memory" if self._store.path is None else repr(str(self._store.path))
        try:
            return f"CreditAccount({where}, balance {self.balance}, held {self.held})"
        except LedgerError as error:  # a repr must not fail
            return f"CreditAccount({where}: {error.what})"

    def _now(self) -> int:
        return int(self._clock.wall() * 1000)

    def _stop_unless_known(self, attempt_id: Any, problems: list[Problem]) -> None:
        """Raise what is wrong; nothing is written to look for an attempt that is not there."""
        wrong = given.text("attempt_id", attempt_id)
        if not wrong and not self._store.read(lambda db: book.attempt_row(db, attempt_id) is not None, False):
            allowed = "an id of client.credits.unresolved() or of a statement"
            wrong = [Problem("attempt_id", given.shown(attempt_id), allowed)]
        given.stop([*wrong, *problems])


def _name(period: str, model: str | None, provider: str | None, tags: Mapping[str, str]) -> str:
    """The id of a budget, the same for the same scope and period: 'month, model=veo-3.1, tag project=coast'."""
    parts = [("model", model), ("provider", provider)]
    words = [f"{name}={_quoted(value)}" for name, value in parts if value is not None]
    words += [f"tag {_quoted(name)}={_quoted(value)}" for name, value in tags.items()]
    return ", ".join([period, *words])


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.:/-]+", text) else json.dumps(text, ensure_ascii=False)
