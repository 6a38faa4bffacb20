"""What a vendor allows where the video is ordered from: whose requests it takes, and who may be seen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..values.plan import Refusal
from ..values.request import VideoRequest
from .facts import ModelPath
from .phrases import any_of

__all__ = ["region_notes", "region_refusals"]


def region_refusals(request: VideoRequest, path: ModelPath, place: str | None) -> Iterable[Refusal]:
    """Why a path cannot make the request for its region; `place` is the vendor's own region that would be asked."""
    region = request.region
    if region is None:
        return
    serving = [name for name, regions in path.serves.items() if region in regions]
    if place in path.serves and place not in serving:
        allowed = f"a key and region={any_of(repr(name) for name in serving)}" if serving else "none of its regions"
        reason = f"its {place} address is not for {region!r}: {allowed}"
        what = f"is not to be asked at {place} from {region!r}"
        yield Refusal("region", f"region={region!r}", allowed, str(path.lifecycle.source), what=what, reason=reason)
    options = request.options.get(path.vendor, {})
    for rule in path.people:
        asked = _found(options, rule.option)
        if region in rule.regions and asked is not None and asked not in rule.allowed:
            allowed = f"{rule.option} left out, or {any_of(rule.allowed)}"
            said = f"{rule.option}={str(asked)[:40]!r} from {region!r}"
            what = f"does not take {said}"
            yield Refusal("options", said, allowed, str(rule.source), what=what, reason=f"{allowed}, asked {said}")


def region_notes(request: VideoRequest, path: ModelPath) -> tuple[str, ...]:
    """What to know of a path that can make the request for its region."""
    return tuple(rule.says for rule in path.people if request.region in rule.regions)


def _found(options: Mapping[str, Any], name: str) -> Any:
    """The value of a parameter, wherever in the options it stands; None: nowhere."""
    if name in options:
        return options[name]
    inner = (_found(value, name) for value in options.values() if isinstance(value, Mapping))
    return next((value for value in inner if value is not None), None)
