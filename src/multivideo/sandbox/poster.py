"""Posting callbacks for real, to this machine alone: a thread and the standard library."""

from __future__ import annotations

import http.client
import ipaddress
import threading
from urllib.parse import SplitResult, urlsplit

from attrs import define, field

from multivideo.sandbox.callbacks import Callback, CallbackBook

__all__ = ["Poster", "is_loopback"]

_PAUSE_S = 0.05
_TIMEOUT_S = 5.0


def is_loopback(url: str) -> bool:
    """Whether it is a plain http address of this machine, the only kind that is ever posted to."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and _is_own_host(parts) and parts.port != 0
    except ValueError:
        return False


def _is_own_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


@define(eq=False)
class Poster:
    """Posts each callback once, in the order in which they come up; nobody knows how often a vendor tries again."""

    _book: CallbackBook
    _stop: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="multivideo-callbacks", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        posted = 0
        while not self._stop.wait(_PAUSE_S):
            for callback in self._book.due()[posted:]:
                posted += 1
                if is_loopback(callback.url) and not self._stop.is_set():
                    _post(callback)

    def close(self) -> None:
        """Post no more."""
        self._stop.set()
        self._thread.join()


def _post(callback: Callback) -> None:
    parts = urlsplit(callback.url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=_TIMEOUT_S)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        line.request(callback.method, path, callback.body, dict(callback.headers))
        line.getresponse().read()
    except (OSError, ValueError, http.client.HTTPException):
        return  # a receiver that is away, or has an impossible address, misses it; a poll tells the same
    finally:
        line.close()
