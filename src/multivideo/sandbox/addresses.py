"""Web addresses that callers name. Only this machine is ever asked; what lies elsewhere is played by a stand-in.

Stand-ins take their length, size and rate from the query of the address: `?seconds=8&size=1080x1920&fps=30`. Left out,
a video has 5 seconds of 1280x720 at 24 frames per second, with sound, and a picture 1280x720.
"""

from __future__ import annotations

import functools
import http.client
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

import anyio.to_thread
from attrs import field, frozen

from multivideo.clock import Clock
from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.fields import is_object
from multivideo.sandbox.poster import is_loopback
from multivideo.sandbox.render import placeholder

__all__ = ["Opened", "film_stand_in", "picture_stand_in"]

_MOST_BYTES = 200 * 1024 * 1024  # no vendor takes a larger file
_TIMEOUT_S = 10.0
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})", re.ASCII)
_NUMBER = re.compile(r"\d{1,3}(\.\d{1,3})?", re.ASCII)


@frozen
class Opened:
    """What was found behind the addresses of this machine that a call names; None: nothing answered."""

    _found: Mapping[str, bytes | None] = field(factory=dict)

    @classmethod
    async def by(cls, named: object, clock: Clock, *, but: str = "\n") -> Opened:
        """All of them that stand anywhere in a part of a body, but those that start so."""
        found: dict[str, bytes | None] = {}
        for url in dict.fromkeys(_loopback_in(named)):
            if url.startswith(but):
                continue
            with clock.working():
                found[url] = await anyio.to_thread.run_sync(_fetch, url)
        return cls(found)

    def knows(self, url: str) -> bool:
        """Whether it is an address of this machine."""
        return url in self._found

    def data(self, url: str) -> bytes:
        """What answered there; ValueError when nothing did."""
        data = self._found.get(url)
        if data is None:
            raise ValueError("nothing answers there")
        return data


def _loopback_in(value: object) -> Iterator[str]:
    """The addresses of this machine among the texts of a JSON value, however deep they stand."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str) and len(one) < 4096 and is_loopback(one):
            yield one
        elif isinstance(one, list):
            rest += one
        elif is_object(one):
            rest += one.values()


def _fetch(url: str) -> bytes | None:
    """A file, by one GET without any credential; None unless it comes whole, with status 200, and not too large."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_TIMEOUT_S)
    try:
        line.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        answer = line.getresponse()
        data = answer.read(_MOST_BYTES + 1)
        return data if answer.status == 200 and 0 < len(data) <= _MOST_BYTES else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        line.close()


def _wish(url: str, name: str, form: re.Pattern[str]) -> re.Match[str] | None:
    """What the query of an address says of the stand-in."""
    return form.fullmatch(parse_qs(urlsplit(url).query).get(name, [""])[-1])


def _wished_size(url: str) -> tuple[int, int]:
    size = _wish(url, "size", _SIZE)
    return (int(size[1]) // 2 * 2, int(size[2]) // 2 * 2) if size else (1280, 720)


def film_stand_in(url: str) -> Film:
    """The video that plays the one behind an address."""
    seconds, fps = (_wish(url, name, _NUMBER) for name in ("seconds", "fps"))
    length, rate = float(seconds[0]) if seconds else 5, max(int(float(fps[0])), 1) if fps else 24
    width, height = _wished_size(url)
    return Film.of(
        Clip(
            model="stand-in", prompt=url, seed=0, width=width, height=height, seconds=length,
            fps=rate, audio=True,
        )
    )  # fmt: skip


def picture_stand_in(url: str) -> bytes:
    """The picture that plays the one behind an address."""
    return _picture(*_wished_size(url))


@functools.lru_cache(maxsize=32)
def _picture(width: int, height: int) -> bytes:
    return placeholder(width, height)
