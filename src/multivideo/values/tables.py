"""How plans and videos look: plain text for terminals, HTML for notebooks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

from .credits import dollars

if TYPE_CHECKING:
    from .plan import Plan, Quote, Ranked, Rejected
    from .result import Video

__all__ = ["clock_text", "plan_text", "table", "video_html"]

WIDTH = 140  # columns of a plan, which a terminal on a usual screen has


def table(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Rows as aligned columns, two blanks between; the columns in `right` are set to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.rjust(w) if at in right else cell.ljust(w)
            for at, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def clock_text(seconds: float) -> str:
    """Minutes and seconds: "2:05"."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def plan_text(plan: Plan) -> str:
    """The whole plan: what would run, everyone who could, everyone who is out and why."""
    lines = [f"brief   {plan.brief or 'open'}, planned as of {plan.as_of} by {plan.policy}"]
    lines += _chosen(plan) if plan.ranked else ["route   none: nothing can make this"]
    if plan.ranked:
        lines += ["", *(f"  {line}" for line in _candidates(plan.ranked).splitlines())]
    if plan.rejected:
        lines += ["out", *_rejected(plan.rejected)]
    return "\n".join(lines)


def _chosen(plan: Plan) -> list[str]:
    first = plan.first
    [segment, *_] = first.segments
    shape = _SHAPES.get(segment.aspect_ratio, "in the shape of the picture")
    size = f"{segment.width}x{segment.height}" if segment.width else f"{segment.resolution} {shape}"
    takes = sum(segment.samples)
    what = f"{segment.seconds} s, {size}, {segment.fps} fps, {'with sound' if segment.audio else 'silent'}"
    expected = first.expected
    span = f"{clock_text(expected.low_s)} to {clock_text(expected.high_s)}"
    return [
        f"route   {first.model} at {first.provider}, {what}{f', {takes} takes' if takes > 1 else ''}",
        f"price   {_price(first.quote)}",
        f"time    about {clock_text(expected.typical_s)} ({span})",
        *(f"note    {note}" for note in first.notes),
        *(f"unsure  {refusal}" for refusal in first.unconfirmed),
    ]


_SHAPES = {"clip": "in the shape of the clip", "vendor": "in a shape that the vendor decides"}


def _price(quote: Quote) -> str:
    if quote.certainty == "unknown":
        return "unknown: no price is listed for this"
    return f"{quote.upper_bound} held, {quote.certainty}"


def _rejected(rejected: Sequence[Rejected]) -> list[str]:
    """A row for each, its reasons wrapped under each other."""
    margin = max(len(row.name) for row in rejected) + 4
    lines = []
    for row in rejected:
        reasons = wrap("; ".join(map(str, row.reasons)), WIDTH - margin, break_long_words=False, break_on_hyphens=False)
        first, *more = reasons or [""]
        lines += [f"  {row.name:<{margin - 2}}{first}".rstrip(), *(f"{'':<{margin}}{line}" for line in more)]
    return lines


def _candidates(ranked: Sequence[Ranked]) -> str:
    """The table of candidates; terms that find no room are summed up as "rest", those that differ least first."""
    terms = [{term.name: term.value for term in row.terms} for row in ranked]
    names = list(dict.fromkeys(name for values in terms for name in values))
    least = sorted(names, key=lambda name: _spread([values.get(name, 0.0) for values in terms]))
    for count in range(len(names) + 1):
        text = _scores(ranked, terms, [name for name in names if name not in least[:count]])
        if max(map(len, text.splitlines())) <= WIDTH - 2:
            break
    return text


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _scores(ranked: Sequence[Ranked], terms: Sequence[Mapping[str, float]], names: Sequence[str]) -> str:
    """The table with these terms as columns, each score the sum of its row's columns."""
    rest = ["rest"] if any(name not in names for values in terms for name in values) else []
    heads = [_head(name, names) for name in names]
    head = ("model@path", "score", *heads, *rest, "USD", "expected")
    rows = [
        (
            row.candidate.name,
            f"{row.score:.2f}",
            *(f"{values[name]:.2f}" if name in values else "" for name in names),
            *(f"{sum(value for name, value in values.items() if name not in names):.2f}" for _ in rest),
            "?" if row.candidate.quote.certainty == "unknown" else dollars(row.candidate.quote.amount)[:-4],
            clock_text(row.candidate.expected.typical_s),
        )
        for row, values in zip(ranked, terms, strict=True)
    ]
    return table([head, *rows], frozenset(range(1, len(head))))


def _head(name: str, names: Sequence[str]) -> str:
    """The first word of a long name, where no other name begins with it."""
    word = name.partition("_")[0]
    return word if sum(other.partition("_")[0] == word for other in names) == 1 else name


def video_html(video: Video) -> str:
    """A player for a notebook with what was measured under it."""
    facts = (
        f"{video.model} at {video.provider}: {video.duration:.1f} s, {video.width}x{video.height}, {video.fps:g} fps, "
        f"{'with sound' if video.has_audio else 'silent'}, {video.charge}"
    )
    source = escape(video.path.resolve().as_uri(), quote=True)
    return f'<video controls preload="metadata" width="480" src="{source}"></video><br><small>{escape(facts)}</small>'
