"""The feature table of the documentation, made from the catalog: `python -m multivideo.catalog.features`."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from ..values.plan import Segment
from ..values.words import Mode
from .book import Catalog, price
from .facts import Certainty, Format, ImageRule, ModeFacts, ModelPath
from .phrases import any_of, seconds_text

__all__ = ["feature_table"]

REFUSED = "refused"

_OPENING = """\
# What each model can do

Made from the catalog by `python -m multivideo.catalog.features`; every cell is what a request is checked against.
"refused" means that the vendor has no such thing, so the request is refused before anything is sent. "provenance" is
what every file carries unseen, with no switch: SynthID is Google's watermark, C2PA a signed statement of where the file
comes from.
"""


def feature_table(catalog: Catalog) -> str:
    """Every vendor path with its modes, and every option of each mode that can be asked for, as Markdown."""
    modes = [
        _row([f"`{path.name}`", *(_state(path, mode) for mode in Mode), _provenance(path), _served(path)])
        for path in catalog.paths
    ]
    options = [
        _row(
            [
                f"`{path.name}`",
                facts.mode,
                *(cell(facts) for cell in _OPTIONS.values()),
                _price(path, facts),
                _source(facts),
            ]
        )
        for path in catalog.paths
        for facts in path.modes
    ]
    parts = [
        _OPENING,
        "## Modes\n",
        *_head(["model and path", *Mode, "provenance", "served"]),
        *modes,
        "\n## Options of each mode\n",
        *_head(["model and path", "mode", *_OPTIONS, "price of a second", "read from"]),
        *options,
        *_others(catalog),
    ]
    return "\n".join(parts) + "\n"


def _others(catalog: Catalog) -> list[str]:
    """Models that are named and cannot be called."""
    named = [
        f"- `{model.id}`: {model.known_but_not_served}" for model in catalog.all_models if model.known_but_not_served
    ]
    return ["\n## Known and not served\n", *named] if named else []


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), _row(["---"] * len(names))]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _state(path: ModelPath, mode: Mode) -> str:
    return REFUSED if path.mode(mode) is None else "yes"


def _provenance(path: ModelPath) -> str:
    return path.provenance or "none stated"


def _served(path: ModelPath) -> str:
    life = path.lifecycle
    if life.retires is not None:
        return f"{life.released} until {life.retires}"
    promised = f", at least until {life.not_before}" if life.not_before else ""
    return f"since {life.released}{promised}"


def _by_resolution(rows: Sequence[Format], say: Callable[[Format], str]) -> str:
    """What each row says, told once where all say the same: "16:9 at 720p and 1080p; 7:4 at 1024p"."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        names = groups.setdefault(say(row), [])
        names += [row.resolution] if row.resolution not in names else []
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{words} at {' and '.join(names)}" for words, names in groups.items())


def _seconds(facts: ModeFacts) -> str:
    if facts.clip is not None and facts.clip.as_long:
        return "that of the clip"
    return seconds_text(facts.formats)


def _resolutions(facts: ModeFacts) -> str:
    unsure = {row.resolution for row in facts.formats if row.certainty is Certainty.UNCERTAIN}
    return any_of(f"{row.resolution}{' (unverified)' if row.resolution in unsure else ''}" for row in facts.formats)


def _ratios(facts: ModeFacts) -> str:
    if facts.frame_decides_shape:
        return "that of the picture"
    if facts.clip is not None and not facts.clip.as_reference:
        return "as the vendor decides" if facts.clip.open_shape else "that of the clip"
    return _by_resolution(facts.formats, lambda row: any_of(row.sizes))


def _fps(facts: ModeFacts) -> str:
    def say(row: Format) -> str:
        claimed = f" ({any_of(row.claimed_fps)} claimed, unconfirmed)" if row.claimed_fps else ""
        return f"{row.fps}{claimed}"

    return _by_resolution(facts.formats, say)


def _sound(facts: ModeFacts) -> str:
    default = "on" if facts.default_audio else "off"
    words = {(True,): "always", (False,): REFUSED, (True, False): f"as asked, {default} by default"}
    return _by_resolution(facts.formats, lambda row: words[row.audio])


def _seed(facts: ModeFacts) -> str:
    return REFUSED if facts.seed_max is None else f"0 to {facts.seed_max}"


def _negative_prompt(facts: ModeFacts) -> str:
    return "yes" if facts.negative_prompt else REFUSED


def _prompt(facts: ModeFacts) -> str:
    if facts.prompt_characters is not None:
        return f"{facts.prompt_characters} characters"
    return "no stated limit" if facts.prompt_words is None else f"{facts.prompt_words} tokens"


def _pictures(facts: ModeFacts) -> str:
    return REFUSED if facts.image is None else _picture(facts.image)


def _references(facts: ModeFacts) -> str:
    rule = facts.references
    if rule is None:
        return REFUSED
    elements = f"{rule.elements} elements" if rule.elements != 1 else "1 element"
    elements += "" if rule.of_video else " made from pictures"
    pictures = f"{rule.pictures} pictures" if rule.pictures != 1 else "1 picture"
    parts = [*([pictures] if rule.pictures else []), *([elements] if rule.elements else [])]
    parts += [f"{rule.of_video} of them made from a clip"] if 0 < rule.of_video < rule.elements else []
    most = f", {rule.together} together" if rule.together is not None and rule.elements else ""
    return f"at most {', '.join(parts)}{most}"


def _source_clip(facts: ModeFacts) -> str:
    rule = facts.clip
    if rule is None:
        return REFUSED
    ways = {"one made here": rule.own or rule.urls, "a file": rule.files, "https": rule.urls, "gs://": rule.storage}
    longest = "" if rule.max_seconds is None else f", {rule.min_seconds:g} to {rule.max_seconds:g} s"
    total = "" if rule.max_total is None else f", {rule.max_total:g} s in all"
    result = "joined" if rule.joined else "the next shot alone" if rule.as_reference else "as long as the clip"
    return f"{any_of(way for way, taken in ways.items() if taken)}{longest}{total}; {result}"


def _shots(facts: ModeFacts) -> str:
    return f"up to {facts.shots_max}" if facts.shots_max else REFUSED


def _watermark(facts: ModeFacts) -> str:
    return "on request" if facts.watermark else REFUSED


def _picture(rule: ImageRule) -> str:
    limits = [any_of(name.upper() for name in rule.formats)]
    limits += [f"at most {rule.max_bytes / 1_000_000:.3g} MB"] if rule.max_bytes else []
    limits += [f"sides from {rule.min_side} pixels"] if rule.min_side else []
    limits += [f"at most {rule.max_ratio}:1"] if rule.max_ratio else []
    limits += ["exactly the pixels of the video"] if rule.exact_size else []
    limits += [] if rule.urls else ["not by https address"]
    limits += ["also by gs:// address"] if rule.storage else []
    return ", ".join(limits)


def _takes(facts: ModeFacts) -> str:
    return str(facts.samples_max)


def _price(path: ModelPath, facts: ModeFacts) -> str:
    """The cheapest and the dearest second, by the list as of the day on which it was read last."""
    as_of = max(rate.source.read for rate in path.rates)
    amounts = {_second(path, facts, row, audio, as_of) for row in facts.formats for audio in row.audio}
    low, high = _dollars(min(amounts)), _dollars(max(amounts))
    return f"{low} USD" if low == high else f"{low} to {high} USD"


def _dollars(amount: Decimal) -> str:
    cents = amount.quantize(Decimal("0.01"))
    return f"{cents if cents == amount else amount.normalize():f}"


def _second(path: ModelPath, facts: ModeFacts, row: Format, audio: bool, as_of: dt.date) -> Decimal:
    segment = Segment(
        mode=facts.mode,
        seconds=1,
        resolution=row.resolution,
        aspect_ratio=facts.default_ratio,
        width=None,
        height=None,
        fps=row.fps,
        audio=audio,
    )
    return price(path, segment, as_of).amount.usd


def _source(facts: ModeFacts) -> str:
    return "; ".join(dict.fromkeys(str(source) for source in (facts.source, *(row.source for row in facts.formats))))


_OPTIONS: dict[str, Callable[[ModeFacts], str]] = {
    "seconds": _seconds,
    "resolutions": _resolutions,
    "ratios": _ratios,
    "fps": _fps,
    "sound": _sound,
    "seed": _seed,
    "negative prompt": _negative_prompt,
    "prompt up to": _prompt,
    "pictures": _pictures,
    "references": _references,
    "source video": _source_clip,
    "shots": _shots,
    "visible watermark": _watermark,
    "takes a call": _takes,
}


if __name__ == "__main__":
    sys.stdout.write(feature_table(Catalog.default()))
