"""docs/fault-matrix.md, made of what a run has seen."""

from __future__ import annotations

from collections.abc import Mapping

from fault_rig import DOORS, Row, of_door
from fault_rows import STEPS

__all__ = ["COMMAND", "page"]

COMMAND = "MULTIVIDEO_WRITE=1 pytest tests/faults/test_matrix.py"
_HEAD = f"""# What happens when something goes wrong

Each cell is one whole run of a client against the emulator, with one fault: of sockets over real ones, the others in
virtual time, on asyncio and on trio. This page is written by that run, and a test fails when it is old:

```sh
{COMMAND}
```

A cell says what the caller got, and behind the arrow what came of it when it was taken up again: the fault was over by
then, unless the row says "for good" or the like.

| in a cell | means |
|---|---|
| `video` | the whole file, measured; the vendor made one job, and the ledger counts its price once |
| `Error · no` | the error; nothing is held, nothing is charged |
| `Error · held` | the job goes on at the vendor, its price is held |
| `Error · yes` | the video is made and charged; its file is still to come, or is not what was ordered |
| `Error · unknown` | what the vendor takes for it is not documented: the price is counted, as *assumed* |
| `OutcomeUnknown` | the job may run, or not: its price stays held, and nothing is sent again |
| `· again` | the error says that trying the same again may help |
| `→ video` | `job.wait()` or `client.recover()` got it, at no further cost |
| `→ absent` | the vendor has no job by our own id, after 300 s: nothing is held any more |
| `→ held` | the vendor cannot be asked, or cannot prove anything: held until `credits.resolve(...)` |
| `–` | makes no sense there; the reasons stand below each table |

In every cell, whatever the fault: no paid request followed one that may have made a job, and no second job was made;
the error is one of `multivideo`'s own, and neither it, nor what hangs behind it, nor any log at DEBUG holds the key or
the prompt; the key went to its own origin alone; nobody else was asked; `credits.verify()` finds the books right, and
what is spent in the end is what the vendor charged; no temporary file, no open request and no socket is left.

Killed processes and power cuts are another run (`nox -s kill`).
"""
_TITLES: Mapping[str, str] = {
    "openai": "OpenAI", "litellm": "LiteLLM", "kling": "Kling", "kling-legacy": "Kling legacy", "vertex": "Vertex",
    "vertex-bucket": "Vertex, bucket", "gemini": "Gemini",
}  # fmt: skip


def page(rows: tuple[Row, ...], seen: Mapping[tuple[Row, str], str]) -> str:
    """The page; `seen` has the words of each cell."""
    parts = [_HEAD]
    for step, title in STEPS.items():
        parts.append(f"## {title}\n")
        parts.append(_table([row for row in rows if row.step == step], seen))
    return "\n".join(parts)


def _table(rows: list[Row], seen: Mapping[tuple[Row, str], str]) -> str:
    lines = [f"| fault | {' | '.join(_TITLES[door] for door in DOORS)} |", "|---" * (len(DOORS) + 1) + "|"]
    for row in rows:
        cells = [seen.get((row, door), "–").replace("OutcomeUnknown · unknown", "OutcomeUnknown") for door in DOORS]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_reasons(rows)])


def _reasons(rows: list[Row]) -> list[str]:
    """Why there is no cell: each reason once, with the doors and the rows that it is for."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for row in rows:
        for door in DOORS:
            if (reason := of_door(row.unfit, door)) is not None:
                doors, names = found.setdefault(reason, ({}, {}))
                doors[_TITLES[door]] = names[row.name] = None
    return [
        f"- –, {', '.join(doors)}{'' if len(names) > 3 else ' (' + '; '.join(names) + ')'}: {reason}."
        for reason, (doors, names) in found.items()
    ] + [""] * bool(found)
