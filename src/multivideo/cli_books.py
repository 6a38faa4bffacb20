"""The commands about money and open jobs: `credits`, `jobs`, `recover`. Each asks the client and says what it told."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from attrs import frozen

from . import terminal
from .arguments import day, pair, usd
from .blocking import Client

__all__ = ["Ask", "Told", "add_credits", "add_jobs", "recover"]


@frozen
class Told:
    """What a command says, as JSON and as text, and its exit code."""

    data: dict[str, Any]
    text: str
    code: int = 0


Ask = Callable[[Client, argparse.Namespace], Told]


def _jobs(client: Client, args: argparse.Namespace) -> Told:
    """The jobs that are known, and the submits of which nobody knows whether they became one."""
    found = client.jobs(args.state, limit=args.limit, since=args.since)
    lost = [row for row in client.credits.unresolved() if row.charge is None] if args.state in {"open", "all"} else []
    data = {"jobs": [terminal.job_json(job) for job in found], "unresolved": terminal.plain(lost)}
    return Told(data, terminal.jobs_text(found, lost))


def recover(client: Client, args: argparse.Namespace) -> Told:
    """Finish what an earlier process left open. 0 only where each of these jobs is a video now."""
    report = client.recover(deadline=args.deadline)
    left = report.still_running or report.failed or report.unresolved
    return Told(terminal.recovery_json(report), str(report), 1 if left else 0)


def _balance(client: Client, args: argparse.Namespace) -> Told:
    account = client.credits
    data = {
        "balance": account.balance,
        "held": account.held,
        "spent": account.spent(),
        "by_certainty": account.spent(by="certainty"),
        "unresolved": len(account.unresolved()),
    }
    return Told(terminal.plain(data), terminal.balance_text(account))


def _budgets(client: Client, args: argparse.Namespace) -> Told:
    found = client.credits.budgets()
    rows = [{**terminal.plain(budget), "left": terminal.plain(left)} for budget, left in found.items()]
    return Told({"budgets": rows}, terminal.budgets_text(found))


def _spent(client: Client, args: argparse.Namespace) -> Told:
    if args.by is None:
        amount = client.credits.spent(since=args.since, until=args.until)
        return Told({"spent": terminal.plain(amount)}, str(amount))
    found = client.credits.spent(by=args.by, since=args.since, until=args.until)
    return Told({"by": args.by, "spent": terminal.plain(found)}, terminal.spent_text(args.by, found))


def _statement(client: Client, args: argparse.Namespace) -> Told:
    found = client.credits.statement(args.since, args.until)
    if args.json:
        return Told({"rows": [row.plain() for row in found]}, "")
    return Told({}, str(found))


def _export(client: Client, args: argparse.Namespace) -> Told:
    path = client.credits.export(args.file, args.since, args.until)
    return Told({"path": str(path)}, str(path))


def _unresolved(client: Client, args: argparse.Namespace) -> Told:
    found = client.credits.unresolved()
    return Told({"unresolved": terminal.plain(found)}, terminal.unresolved_text(found))


def _fund(client: Client, args: argparse.Namespace) -> Told:
    client.credits.fund(args.amount, note=args.note)
    return _balance(client, args)


def _budget(client: Client, args: argparse.Namespace) -> Told:
    client.credits.budget(
        args.amount, tags=dict(args.tags), model=args.model, provider=args.provider, period=args.period
    )
    return _budgets(client, args)


def _remove_budget(client: Client, args: argparse.Namespace) -> Told:
    client.credits.remove_budget(args.budget)
    return _budgets(client, args)


def _resolve(client: Client, args: argparse.Namespace) -> Told:
    client.credits.resolve(args.attempt, outcome=args.outcome, amount=args.amount, by=args.by, note=args.note)
    return _balance(client, args)


def _refund(client: Client, args: argparse.Namespace) -> Told:
    client.credits.refund(args.attempt, args.amount, note=args.note)
    return _balance(client, args)


def _verify(client: Client, args: argparse.Namespace) -> Told:
    client.credits.verify()
    return Told({"agree": True}, "The books agree with themselves.")


def add_jobs(jobs: argparse.ArgumentParser) -> None:
    """The options of `jobs`."""
    jobs.set_defaults(ask=_jobs)
    jobs.add_argument("--state", choices=["open", "finished", "failed", "all"], default="open")
    jobs.add_argument("--limit", type=int, metavar="N", help="of the newest; left out: every open one, 100 of others")
    jobs.add_argument("--since", type=day, metavar="DATE", help="the first day (UTC)")


def add_credits(credits: argparse.ArgumentParser) -> None:  # noqa: A002 - the command's own name
    """The subcommands of `credits`; without one it tells the balance."""
    credits.set_defaults(ask=_balance)
    kinds = credits.add_subparsers(metavar="WHAT")

    def kind(name: str, ask: Ask, text: str) -> argparse.ArgumentParser:
        added = kinds.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.set_defaults(ask=ask)
        for flag in ("--json", "--sandbox"):  # also after the subcommand, without undoing one before it
            added.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help="as for credits")
        return added

    kind("balance", _balance, "What is left, held and spent.")
    kind("budgets", _budgets, "Every budget, with what is left of it.")
    spent = kind("spent", _spent, "What was spent, in all or by what.")
    spent.add_argument("--by", metavar="WHAT", help="model, provider, brief, day, certainty or tag:NAME")
    statement = kind("statement", _statement, "Every line of the books.")
    export = kind("export", _export, "Write every line of the books to a file.")
    export.add_argument("file", metavar="FILE", help="ends with .csv or .json")
    for each in (spent, statement, export):
        each.add_argument("--since", type=day, metavar="DATE", help="the first day (UTC)")
        each.add_argument("--until", type=day, metavar="DATE", help="the day before which it ends")
    kind("unresolved", _unresolved, "Submits of unknown outcome, and costs that are only assumed.")
    kind("verify", _verify, "Build all amounts again from the lines of the books, and compare.")
    _add_writes(kind)


def _add_writes(kind: Callable[[str, Ask, str], argparse.ArgumentParser]) -> None:
    """The subcommands that write into the books."""
    fund = kind("fund", _fund, "Put US dollars into the account: from now on nothing starts that it does not hold.")
    fund.add_argument("amount", type=usd, metavar="USD")
    fund.add_argument("--note", default="", metavar="TEXT")
    budget = kind("budget", _budget, "Limit what jobs of one kind may cost; the same kind again gets the new amount.")
    budget.add_argument("amount", type=usd, metavar="USD")
    budget.add_argument("--tag", type=pair, action="append", default=[], metavar="NAME=VALUE", dest="tags")
    budget.add_argument("--model")
    budget.add_argument("--provider")
    budget.add_argument("--period", choices=["ever", "day", "month"], default="ever")
    remove = kind("remove-budget", _remove_budget, "Take a budget away; what is held or spent stays as it is.")
    remove.add_argument("budget", metavar="BUDGET", help="of `credits budgets`")
    resolve = kind("resolve", _resolve, "Say what became of an attempt that nobody can look up.")
    resolve.add_argument("attempt", metavar="ATTEMPT", help="of `credits unresolved`")
    resolve.add_argument("--outcome", choices=["charged", "not_charged"], required=True)
    resolve.add_argument("--amount", type=usd, metavar="USD", help="what was charged; left out: what is held")
    resolve.add_argument("--by", required=True, metavar="TEXT", help="who says so")
    resolve.add_argument("--note", required=True, metavar="TEXT", help="how that is known")
    refund = kind("refund", _refund, "Write down what a vendor gave back.")
    refund.add_argument("attempt", metavar="ATTEMPT", help="of `credits statement`")
    refund.add_argument("amount", type=usd, metavar="USD")
    refund.add_argument("--note", required=True, metavar="TEXT", help="how that is known")
