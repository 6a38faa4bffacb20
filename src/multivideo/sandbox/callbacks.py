"""What the emulator would post to its callers' web addresses: one callback for each change of a job's status.

Nothing happens at the moment of a change, since a job follows from the clock: a callback is written down when somebody
asks for it, and is the same whenever that is.

Sources: Standard Webhooks for the signature; Kling's callback page and OpenAI's webhook guide, both read 2026-09.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from multivideo.sandbox.fields import decode_base64
from multivideo.sandbox.jobs import Job, JobStore, State

__all__ = ["Callback", "CallbackBook", "Notice", "sign"]


@frozen
class Notice:
    """What a vendor says of a change, and to whom."""

    url: str
    body: bytes
    content_type: str = "application/json"


@frozen(kw_only=True)
class Callback:
    """One POST. The headers are those of Standard Webhooks where a secret is known, else the content type alone."""

    door: str
    job: str
    at: float
    method: str = "POST"
    url: str
    headers: Mapping[str, str]
    body: bytes


@frozen
class _Webhook:
    """An address that is told of every video of OpenAI's door that ends."""

    url: str
    secret: str | None
    since: float


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a body: HMAC-SHA256 under the Base64 behind `whsec_`, or under the secret's bytes."""
    message = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), message, "sha256")).decode()


def _key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return decode_base64(secret.removeprefix("whsec_"))
    except ValueError:
        raise ValueError("a webhook secret is Base64 behind whsec_") from None


@define(eq=False)
class CallbackBook:
    """All callbacks of all jobs.

    Args:
        secrets: of Kling's account, and of OpenAI's webhooks that have none of their own; two while one replaces the
            other, and each signs.
        tellers: by door, what it says of a job at a state; None: nothing.
    """

    _store: JobStore
    _secrets: Sequence[str]
    _tellers: Mapping[str, Callable[[Job, State], Notice | None]]
    _webhooks: list[_Webhook] = field(factory=list)
    _written: dict[tuple[str, str, str], Callback] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)

    def __attrs_post_init__(self) -> None:
        for secret in self._secrets:
            _key(secret)

    def register(self, url: str, secret: str | None = None) -> None:
        """Tell an address of OpenAI's videos that end from now on; ValueError for a secret that is none."""
        _key(secret or "")
        self._webhooks.append(_Webhook(url, secret, self._store.clock.wall()))

    def due(self) -> tuple[Callback, ...]:
        """All callbacks up to now, each one after those that were found before it."""
        with self._lock:
            now = self._store.clock.wall()
            for job in self._store.all():
                for state, at in _changes(job, now):
                    self._write(job, state, at)
            return tuple(self._written.values())

    def told(self, door: str | None = None, job: str | None = None) -> tuple[Callback, ...]:
        """Those up to now by time, of one door or one job if asked."""
        wanted = [one for one in self.due() if door in (None, one.door) and job in (None, one.job)]
        return tuple(sorted(wanted, key=lambda one: one.at))

    def _write(self, job: Job, state: State, at: float) -> None:
        for place, (notice, secrets) in enumerate(self._notices(job, state, at)):
            key = job.id, state.value, str(place)
            if key not in self._written:
                headers = {"content-type": notice.content_type, **_signed(key, secrets, int(at), notice.body)}
                self._written[key] = Callback(
                    door=job.door, job=job.id, at=at, url=notice.url, headers=headers, body=notice.body
                )

    def _notices(self, job: Job, state: State, at: float) -> Iterator[tuple[Notice, Sequence[str]]]:
        if (teller := self._tellers.get(job.door)) and (notice := teller(job, state)):
            yield notice, self._secrets
        if job.door == "openai" and state.over:
            for webhook in self._webhooks:
                if at >= webhook.since:
                    secrets = (webhook.secret,) if webhook.secret else self._secrets
                    yield Notice(webhook.url, _event(job, state, int(at))), secrets


def _changes(job: Job, now: float) -> Iterator[tuple[State, float]]:
    """The states that a job went through up to now, with the time of each."""
    yield State.QUEUED, job.created
    if job.started < job.ended and job.started <= now:
        yield State.RUNNING, job.started
    if job.ended <= now:
        yield job.state(job.ended), job.ended


def _event(job: Job, state: State, at: int) -> bytes:
    """OpenAI's event: it names the video and says nothing else of it."""
    kind = "video.failed" if state is State.FAILED else "video.completed"
    data = {"id": job.id}
    event = {"id": f"evt_{_token(job.id, kind)}", "object": "event", "created_at": at, "type": kind, "data": data}
    return json.dumps(event, separators=(",", ":")).encode()


def _signed(key: tuple[str, ...], secrets: Sequence[str], at: int, body: bytes) -> dict[str, str]:
    if not secrets:
        return {}
    name = f"wh_{_token(*key)}"
    signatures = " ".join(sign(secret, name, at, body) for secret in secrets)
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": signatures}


def _token(*words: str) -> str:
    """An id that is the same whenever it is asked for."""
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:32]
