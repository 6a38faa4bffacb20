"""What may be written: each function is one piece of work on the books, done whole or not at all.

Double entry: every line moves an amount from one account to another, so debits equal credits by construction. `wallet`
is what can be spent, `held` what open attempts may cost, `spent:<provider>` what was charged. Without funds the wallet
goes below zero: the account is postpaid and only counts. Once there are funds it never does; what a vendor bills
beyond them is written to `overdraft`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Set
from typing import Any

from ..errors import BudgetExceeded, InsufficientCredits, InvalidRequest, LedgerError, Problem
from ..values.credits import Credits, dollars
from . import sql
from .audit import verify
from .records import CHARGED, MOVES, UNCHARGED, AttemptRow, AttemptState, Budget, JobRow, NewAttempt, NewJob
from .rows import GENESIS, attempt_of, budget_of, entry_of, job_of, link
from .store import Db

__all__ = [
    "accept",
    "add_budget",
    "attempt_of",
    "attempt_row",
    "balance",
    "budget_of",
    "claim",
    "end",
    "end_job",
    "entry_of",
    "fund",
    "job_of",
    "period_of",
    "prepare",
    "refund",
    "release",
    "remove_budget",
    "renew",
    "resolve",
    "sending",
    "sending_again",
    "unknown",
    "verify",
    "void",
]

FUNDING, WALLET, HELD, OVERDRAFT = "funding", "wallet", "held", "overdraft"
BILLED = frozenset({"settle", "overage"})
ZERO = Credits(micro_usd=0)


def prepare(db: Db, job: NewJob, attempt: NewAttempt, *, now_ms: int, owner: str, lease_ms: int, live: bool) -> None:
    """Commit 1: the job, its attempt and the hold for it. The same once more changes nothing.

    Raises: InsufficientCredits, BudgetExceeded; LedgerError where the id is known with other content.
    """
    tags = _json(job.tags)
    fresh = db.one(
        sql.ADD_JOB,
        id=job.id,
        now=now_ms,
        request_print=job.request_print,
        prompt_print=job.prompt_print,
        brief=job.brief,
        save_to=job.save_to,
        tags=tags,
        owner=owner,
        lease_ms=lease_ms,
    )
    if fresh is not None:
        for name, value in job.tags.items():
            db.all(sql.ADD_TAG, job_id=job.id, name=name, value=value)
    elif ((known := _job(db, job.id)).request_print, known.tags) != (job.request_print, dict(job.tags)):
        raise _other_content("job", known.id)
    added = db.one(
        sql.ADD_ATTEMPT,
        id=attempt.id,
        job_id=attempt.job_id,
        segment=attempt.segment,
        provider=attempt.provider,
        model=attempt.model,
        call=attempt.call,
        held=attempt.held.micro_usd,
        now=now_ms,
    )
    if added is None:
        row = _attempt(db, attempt.id)
        written = (row.job_id, row.segment, row.provider, row.model, row.call, row.held)
        if written != (attempt.job_id, attempt.segment, attempt.provider, attempt.model, attempt.call, attempt.held):
            raise _other_content("attempt", row.id)
        return
    if fresh is None and _reopened(db, job.id):
        db.all(sql.LEASE_JOB, id=job.id, owner=owner, until=lease_ms)
    _hold(db, job, attempt, now_ms, live)


def _hold(db: Db, job: NewJob, attempt: NewAttempt, now_ms: int, live: bool) -> None:
    left = balance(db, WALLET) - attempt.held
    if _funded(db) and left < ZERO:
        raise InsufficientCredits(
            "The account does not hold enough credits for this.",
            asked=f"a hold of {dollars(attempt.held)} for {attempt.model} at {attempt.provider}",
            allowed=f"at most {dollars(balance(db, WALLET))}",
            hint='client.credits.fund(multivideo.usd("..."), note="...")',
            cost="no, nothing was sent",
        )
    for budget in map(budget_of, db.all(sql.BUDGETS)):
        if not _counts(budget, job, attempt):
            continue
        period = period_of(budget.period, now_ms)
        used = db.one(sql.BUDGET_USE, id=budget.id, period=period)
        free = budget.amount - Credits(micro_usd=used[0] if used else 0)
        if attempt.held > free:
            raise _over(budget, attempt, free)
        db.all(sql.ADD_BUDGET_USE, id=budget.id, period=period, micro=attempt.held.micro_usd)
        db.all(sql.HOLD_BUDGET, attempt_id=attempt.id, id=budget.id, period=period)
    _enter(db, "hold", HELD, WALLET, attempt.held, now_ms, live, attempt_id=attempt.id)


def _counts(budget: Budget, job: NewJob, attempt: NewAttempt) -> bool:
    return (
        budget.model in {None, attempt.model}
        and budget.provider in {None, attempt.provider}
        and budget.tags.items() <= dict(job.tags).items()
    )


def _over(budget: Budget, attempt: NewAttempt, free: Credits) -> BudgetExceeded:
    return BudgetExceeded(
        f"This would pass the budget {budget.id!r} of {dollars(budget.amount)}.",
        asked=f"a hold of {dollars(attempt.held)} for {attempt.model} at {attempt.provider}",
        allowed=f"{dollars(free)} are left of it {_when(budget.period)}",
        hint="raise it by client.credits.budget(...), wait for its next period, or ask for less",
        cost="no, nothing was sent",
        field="budget",
    )


def _when(period: str) -> str:
    return {"day": "today", "month": "this month"}.get(period, "in all")


def sending(db: Db, attempt_id: str, *, now_ms: int) -> None:
    """Commit 2: from here on a byte may have left. Refused the second time: who comes second must not send."""
    if db.one(sql.SENDING, id=attempt_id, now=now_ms) is None:
        raise _cannot(db, attempt_id, AttemptState.SENDING)


def sending_again(db: Db, attempt_id: str, *, now_ms: int) -> None:
    """A later try of a submit, after one that made no job. Refused once somebody else has gone on with the attempt."""
    if db.one(sql.SENDING_AGAIN, id=attempt_id, now=now_ms) is None:
        raise _cannot(db, attempt_id, AttemptState.SENDING)


def accept(db: Db, attempt_id: str, remote_id: str, *, now_ms: int) -> None:
    """Commit 3: the vendor's id, before anything else happens with it. The same once more changes nothing."""
    accepted = db.one(sql.ACCEPTED, id=attempt_id, remote_id=remote_id, now=now_ms)
    if accepted is not None:
        _reopened(db, accepted[0])
    elif _attempt(db, attempt_id).remote_id != remote_id:
        raise _cannot(db, attempt_id, AttemptState.ACCEPTED)


def _reopened(db: Db, job_id: str) -> bool:
    """Whether a job was taken for ended: with something to send or to fetch it must be found again after a crash."""
    return db.one(sql.REOPEN_JOB, id=job_id) is not None


def unknown(db: Db, attempt_id: str, said: str) -> None:
    """Commit 3, where the answer was lost: the hold stays."""
    written = db.one(sql.UNKNOWN, id=attempt_id, said=said)
    if written is None and _attempt(db, attempt_id).state is not AttemptState.UNKNOWN:
        raise _cannot(db, attempt_id, AttemptState.UNKNOWN)


def void(
    db: Db,
    attempt_id: str,
    state: AttemptState,
    said: str,
    *,
    now_ms: int,
    live: bool,
    note: str | None = None,
    by: str | None = None,
) -> None:
    """The end of an attempt that made no job: its hold is given back. `note` and `by`: where somebody says so."""
    row = _closing(db, attempt_id, state, UNCHARGED)
    if row is None:
        return
    _ended(db, row, state, ZERO, None, said, now_ms)
    _enter(db, "void", WALLET, HELD, row.held, now_ms, live, attempt_id=attempt_id, note=note or state.value, by=by)
    _repay(db, now_ms, live)
    _give_back(db, attempt_id, row.held)


def end(
    db: Db,
    attempt_id: str,
    state: AttemptState,
    charge: Credits,
    certainty: str,
    said: str | None = None,
    *,
    now_ms: int,
    live: bool,
    note: str | None = None,
    by: str | None = None,
) -> None:
    """Commit 4: the end of an attempt together with what it cost. The same once more changes nothing.

    Raises: LedgerError where its state cannot be followed by that one, or it has ended at another cost.
    """
    row = _closing(db, attempt_id, state, CHARGED)
    if row is None:
        if _settled(db, attempt_id) != (charge, certainty):
            raise _other_content("the end of attempt", attempt_id)
        return
    _ended(db, row, state, charge, certainty, said, now_ms)
    spent = f"spent:{row.provider}"
    within = min(charge, row.held)
    facts: dict[str, Any] = {"attempt_id": attempt_id, "certainty": certainty, "note": note, "by": by}
    _enter(db, "settle", spent, HELD, within, now_ms, live, **facts)
    if row.held > within:
        rest = row.held - within
        _enter(db, "release", WALLET, HELD, rest, now_ms, live, attempt_id=attempt_id, note=note, by=by)
        _repay(db, now_ms, live)
    if charge > row.held:
        _overage(db, spent, charge - row.held, now_ms, live, facts)
    _give_back(db, attempt_id, row.held - charge)


def _settled(db: Db, attempt_id: str) -> tuple[Credits, str | None]:
    """What an attempt cost when it ended, before anything was given back or corrected, and how sure that was."""
    lines = [line for line in map(entry_of, db.all(sql.ENTRIES_OF, attempt_id=attempt_id)) if line.kind in BILLED]
    certainty = next(line.certainty for line in lines if line.kind == "settle")
    return sum((line.amount for line in lines if line.certainty == certainty), ZERO), certainty


def _overage(db: Db, spent: str, more: Credits, now_ms: int, live: bool, facts: Mapping[str, Any]) -> None:
    """What a vendor billed beyond the hold; where the wallet is guarded, what it lacks is an overdraft."""
    here = min(more, max(ZERO, balance(db, WALLET))) if _funded(db) else more
    if here:
        _enter(db, "overage", spent, WALLET, here, now_ms, live, **facts)
    if more > here:
        _enter(db, "overage", spent, OVERDRAFT, more - here, now_ms, live, **facts)


def _closing(db: Db, attempt_id: str, state: AttemptState, ends: Set[AttemptState]) -> AttemptRow | None:
    """The attempt, if that state may follow its own; None: it has ended in this very state already."""
    row = _attempt(db, attempt_id)
    if row.state is state and state in ends:
        return None
    if state not in MOVES.get(row.state, frozenset()) & ends:
        raise _cannot(db, attempt_id, state)
    return row


def _ended(
    db: Db, row: AttemptRow, state: AttemptState, charge: Credits, certainty: str | None, said: str | None, now_ms: int
) -> None:
    db.all(
        sql.END_ATTEMPT,
        id=row.id,
        state=state.value,
        charge=charge.micro_usd,
        certainty=certainty,
        said=said,
        now=now_ms,
    )


def _give_back(db: Db, attempt_id: str, amount: Credits) -> None:
    for budget_id, period in db.all(sql.BUDGETS_HELD, attempt_id=attempt_id):
        db.all(sql.CHANGE_BUDGET_USE, id=budget_id, period=period, micro=-amount.micro_usd)


def resolve(
    db: Db,
    attempt_id: str,
    outcome: str,
    amount: Credits | None = None,
    *,
    by: str,
    note: str,
    now_ms: int,
    live: bool,
) -> None:
    """End an attempt that nobody can look up, by somebody's word: "charged" or "not_charged".

    The job of which it was the last open attempt is closed with it. A settlement that was only assumed can be
    corrected too, by entries of its own. `amount` None: what is held, or what was assumed, was charged.

    Raises: InvalidRequest for an attempt that is not open and whose cost is not assumed.
    """
    row = attempt_row(db, attempt_id)
    if row is None:
        problem = Problem("attempt_id", repr(attempt_id[:60]), "an id of client.credits.unresolved()")
        raise InvalidRequest.of([problem])
    if outcome not in {"charged", "not_charged"}:
        raise InvalidRequest.of([Problem("outcome", repr(outcome), '"charged" or "not_charged"')])
    if amount is not None and (outcome != "charged" or amount <= ZERO):
        raise InvalidRequest.of([Problem("amount", dollars(amount), 'more than nothing, with outcome="charged"')])
    facts: dict[str, Any] = {"by": by, "note": note, "now_ms": now_ms, "live": live}
    if row.state is AttemptState.UNKNOWN:
        if outcome == "charged":
            end(db, attempt_id, AttemptState.SUCCEEDED, amount or row.held, "reported", **facts)
        else:
            void(db, attempt_id, AttemptState.ABSENT, f"by {by}: {note}", **facts)
        end_job(db, row.job_id, None, now_ms=now_ms)
    elif row.ended_ms is not None and row.certainty == "assumed":
        now = (amount or row.charge or row.held) if outcome == "charged" else ZERO
        _correct(db, row, now, **facts)
    else:
        asked = f"attempt {attempt_id} in state {row.state}" + (f", {row.certainty}" if row.certainty else "")
        raise InvalidRequest.of([Problem("attempt_id", asked, "an attempt of unknown outcome or assumed cost")])


def _correct(db: Db, row: AttemptRow, now: Credits, *, by: str, note: str, now_ms: int, live: bool) -> None:
    """Put what an attempt did cost in place of what was assumed; the same amount is confirmed by a line of nothing."""
    was = row.charge or ZERO
    spent = f"spent:{row.provider}"
    facts: dict[str, Any] = {"attempt_id": row.id, "certainty": "reported", "note": note, "by": by}
    if now > was:
        _overage(db, spent, now - was, now_ms, live, facts)
    else:
        _enter(db, "refund", WALLET, spent, was - now, now_ms, live, **facts)
        _repay(db, now_ms, live)
    db.all(sql.SET_CHARGE, id=row.id, charge=now.micro_usd, certainty="reported")
    _give_back(db, row.id, was - now)


def refund(
    db: Db, attempt_id: str, amount: Credits, *, note: str, by: str | None = None, now_ms: int, live: bool
) -> None:
    """What a vendor gave back after the end. Raises: InvalidRequest for more than was charged."""
    row = _attempt(db, attempt_id)
    charge = row.charge or ZERO
    if row.ended_ms is None or not ZERO < amount <= charge:
        raise InvalidRequest.of([Problem("amount", dollars(amount), f"more than 0 and at most {dollars(charge)}")])
    _enter(db, "refund", WALLET, f"spent:{row.provider}", amount, now_ms, live, attempt_id=attempt_id, note=note, by=by)
    _repay(db, now_ms, live)
    db.all(sql.SET_CHARGE, id=row.id, charge=(charge - amount).micro_usd, certainty=row.certainty)
    _give_back(db, row.id, amount)


def fund(db: Db, amount: Credits, note: str, *, now_ms: int, live: bool) -> None:
    """Put credits into the account: from now on it is prepaid. What was overdrawn is paid back first.

    What was spent or is held without funds, and is more than these, is overdrawn from now on.
    """
    if amount <= ZERO:
        raise InvalidRequest.of([Problem("amount", dollars(amount), "more than nothing")])
    _enter(db, "fund", WALLET, FUNDING, amount, now_ms, live, note=note)
    left = balance(db, WALLET)
    if left < ZERO:
        _enter(db, "adjust", WALLET, OVERDRAFT, -left, now_ms, live, note="spent or held before there were funds")
    _repay(db, now_ms, live)


def _repay(db: Db, now_ms: int, live: bool) -> None:
    """What came into the wallet pays back first what was overdrawn."""
    owed = min(-balance(db, OVERDRAFT), balance(db, WALLET))
    if owed > ZERO:
        _enter(db, "adjust", OVERDRAFT, WALLET, owed, now_ms, live, note="overdraft paid back")


def add_budget(db: Db, budget: Budget, *, now_ms: int) -> None:
    """Set a budget; one of the same scope and period gets the new amount."""
    db.all(
        sql.ADD_BUDGET,
        id=budget.id,
        amount=budget.amount.micro_usd,
        period=budget.period,
        model=budget.model,
        provider=budget.provider,
        tags=_json(budget.tags),
        now=now_ms,
    )


def remove_budget(db: Db, budget_id: str) -> None:
    """Take a budget away, with what was counted there; what is held or spent stays as it is.

    Raises: InvalidRequest where there is none of that id.
    """
    known = [budget_of(row).id for row in db.all(sql.BUDGETS)]
    if budget_id not in known:
        allowed = f"one of {', '.join(map(repr, known[:5]))}" if known else "an id of client.credits.budgets()"
        raise InvalidRequest.of([Problem("budget", repr(budget_id[:60]), allowed)])
    for statement in sql.REMOVE_BUDGET:
        db.all(statement, id=budget_id)


def end_job(db: Db, job_id: str, files: tuple[str, ...] | None, *, now_ms: int) -> None:
    """Nothing more is to be done for a job: its files lie where they belong, or it has failed for good.

    A job with an attempt that may still be sent or finished stays open, so that recovery finds it; its files are
    written all the same. `files` None: those that are written already.
    """
    text = None if files is None else json.dumps(list(files))
    ended = db.one(sql.END_JOB, id=job_id, files=text, now=now_ms)
    if ended is None and files:
        db.all(sql.KEEP_FILES, id=job_id, files=text)


def claim(db: Db, job_id: str, owner: str, *, dead: str | None, now_ms: int, until_ms: int) -> bool:
    """Take a job over, if nobody drives it: no owner, an expired lease, or the owner that is known to be dead."""
    row = db.one(sql.CLAIM, id=job_id, owner=owner, dead=dead or owner, now=now_ms, until=until_ms)
    return row is not None


def renew(db: Db, job_id: str, owner: str, *, until_ms: int) -> bool:
    """Keep a job for longer, False: somebody else has it by now."""
    return db.one(sql.RENEW, id=job_id, owner=owner, until=until_ms) is not None


def release(db: Db, job_id: str, owner: str) -> None:
    """Let go of a job that others may drive on."""
    db.all(sql.RELEASE, id=job_id, owner=owner)


def balance(db: Db, account: str) -> Credits:
    """What an account holds; `funding` and `overdraft` count below zero."""
    row = db.one(sql.BALANCE, account=account)
    return Credits(micro_usd=row[0] if row else 0)


def _funded(db: Db) -> bool:
    return db.one(sql.BALANCE, account=FUNDING) is not None


def _enter(
    db: Db,
    kind: str,
    debit: str,
    credit: str,
    amount: Credits,
    now_ms: int,
    live: bool,
    *,
    attempt_id: str | None = None,
    certainty: str | None = None,
    note: str | None = None,
    by: str | None = None,
) -> None:
    last = db.one(sql.LAST_ENTRY)
    number, chain = (last[0] + 1, last[1]) if last else (1, GENESIS)
    facts = (number, kind, debit, credit, amount.micro_usd, attempt_id, now_ms, int(live), certainty, note, by)
    db.all(
        sql.ADD_ENTRY,
        number=number,
        kind=kind,
        debit=debit,
        credit=credit,
        amount=amount.micro_usd,
        attempt_id=attempt_id,
        now=now_ms,
        live=int(live),
        certainty=certainty,
        note=note,
        by_whom=by,
        chain=link(chain, facts),
    )
    _add(db, debit, amount)
    _add(db, credit, -amount)


def _add(db: Db, account: str, amount: Credits) -> None:
    [[micro]] = db.all(sql.ADD_BALANCE, account=account, micro=amount.micro_usd)
    if not isinstance(micro, int):  # SQLite would go on with a float, which is not exact
        raise LedgerError(
            f"The account {account!r} would pass what the books can hold.", hint="9.2 trillion US dollars"
        )


def period_of(period: str, at_ms: int) -> str:
    """The day or month that a time belongs to, by UTC: "2026-11-22", "2026-11", or "ever"."""
    day = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).date()
    return {"day": f"{day}", "month": f"{day:%Y-%m}"}.get(period, "ever")


def attempt_row(db: Db, attempt_id: str) -> AttemptRow | None:
    """The attempt of that id, None: there is none."""
    row = db.one(sql.ATTEMPT, id=attempt_id)
    return None if row is None else attempt_of(row)


def _job(db: Db, job_id: str) -> JobRow:
    row = db.one(sql.JOB, id=job_id)
    if row is None:
        raise LedgerError(f"The books know no job {job_id!r}.")
    return job_of(row)


def _attempt(db: Db, attempt_id: str) -> AttemptRow:
    row = attempt_row(db, attempt_id)
    if row is None:
        raise LedgerError(f"The books know no attempt {attempt_id!r}.")
    return row


def _cannot(db: Db, attempt_id: str, state: AttemptState) -> LedgerError:
    row = _attempt(db, attempt_id)
    return LedgerError(
        f"Attempt {attempt_id} is {row.state} and cannot become {state}.",
        hint="another process may have gone on with it: client.jobs() shows what is written",
        charged="unknown" if row.state in {AttemptState.SENDING, AttemptState.UNKNOWN} else "held",
    )


def _other_content(what: str, name: str) -> LedgerError:
    return LedgerError(
        f"The books know {what} {name} already, with other content.",
        hint="nothing was written; give the new one an id of its own",
        cost="no, nothing was sent",
    )


def _json(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(tags.items())), ensure_ascii=False)
