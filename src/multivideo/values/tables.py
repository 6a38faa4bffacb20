"""How plans and videos look: plain text for terminals, HTML for notebooks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .plan import Plan, Ranked
    from .result import Video

__all__ = ["clock_text", "plan_text", "table", "video_html"]


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
        rows = [(row.name, "; ".join(map(str, row.reasons))) for row in plan.rejected]
        lines += ["out", *(f"  {line}" for line in table(rows).splitlines())]
    return "\n".join(lines)


def _chosen(plan: Plan) -> list[str]:
    first = plan.first
    [segment, *_] = first.segments
    size = f"{segment.width}x{segment.height}" if segment.width else f"{segment.resolution} in the shape of the picture"
    takes = sum(segment.samples)
    what = f"{segment.seconds} s, {size}, {segment.fps} fps, {'with sound' if segment.audio else 'silent'}"
    expected = first.expected
    return [
        f"route   {first.model} at {first.provider}, {what}{f', {takes} takes' if takes > 1 else ''}",
        f"price   {first.quote.upper_bound} held, {first.quote.certainty}",
        f"time    about {' to '.join(map(clock_text, (expected.low_s, expected.high_s)))}",
        *(f"note    {note}" for note in first.notes),
        *(f"unsure  {refusal}" for refusal in first.unconfirmed),
    ]


def _candidates(ranked: Sequence[Ranked]) -> str:
    names = list(dict.fromkeys(term.name for row in ranked for term in row.terms))
    head = ("model@path", "score", *names, "USD", "expected")
    rows = [
        (
            row.candidate.name,
            f"{row.score:.2f}",
            *(next((f"{term.value:.2f}" for term in row.terms if term.name == name), "") for name in names),
            str(row.candidate.quote.amount.usd),
            clock_text(row.candidate.expected.typical_s),
        )
        for row in ranked
    ]
    return table([head, *rows], frozenset(range(1, len(head))))


def video_html(video: Video) -> str:
    """A player for a notebook with what was measured under it."""
    facts = (
        f"{video.model} at {video.provider}: {video.duration:.1f} s, {video.width}x{video.height}, {video.fps:g} fps, "
        f"{'with sound' if video.has_audio else 'silent'}, {video.charge}"
    )
    source = escape(video.path.resolve().as_uri(), quote=True)
    return f'<video controls preload="metadata" width="480" src="{source}"></video><br><small>{escape(facts)}</small>'
