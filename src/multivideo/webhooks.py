"""Callbacks of Kling and OpenAI, checked: is it theirs, is it fresh, and which job does it speak of.

Both sign as Standard Webhooks does (Kling's callback page, after 2026-08-07; OpenAI's guide, read 2026-10-02). The
library of that name (extra `webhooks`) makes the signature; freshness is judged here, by the time that is given. A
callback is a reason to look earlier and nothing more: what a job is and costs is what its vendor says when it is asked.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from .errors import AuthenticationFailed, InvalidRequest, MultiVideoError, Problem
from .providers.common import job_id, word_of
from .secrets import Secret
from .shapes import Loose, Unreadable, read
from .values.refs import VendorRef

__all__ = ["WebhookEvent", "verify_kling", "verify_openai"]

MOST_BYTES = 1024 * 1024
FRESH_S = 300  # both vendors ask to refuse what is older or newer
_PREFIX = "whsec_"
_TYPE = re.compile(r"video\.(.+)")
_BASE64 = re.compile(r"(?:whsec_)?[A-Za-z0-9+/]{2,}={0,2}")


@frozen
class WebhookEvent:
    """What a vendor says of one job. The same `id` again is the same news, sent again.

    `remote_id` is the vendor's id of the job, `word` its status as it came, `family` the protocol that the job was made
    by, as in `VendorRef`.
    """

    id: str
    remote_id: str
    word: str
    family: str

    def is_about(self, ref: VendorRef) -> bool:
        """Whether it speaks of that job. Kling's legacy protocol leaves out the kind that the reference holds."""
        name = ref.remote_id.rpartition("/")[2] if self.family == "kling-legacy" else ref.remote_id
        return (ref.family, name) == (self.family, self.remote_id)


@frozen
class _Task:
    id: str
    status: str


@frozen
class _LegacyTask:
    task_id: str
    task_status: str


@frozen
class _Job:
    id: str


@frozen
class _Event:
    type: str
    data: _Job


@frozen
class _Kind:
    task_id: Loose[str] = None


def verify_kling(secret: str | Secret, headers: Mapping[str, str], body: bytes, *, now: float) -> WebhookEvent:
    """The event that a callback of Kling is, of a job of either protocol.

    Args:
        secret: what Kling's console shows, "whsec_...".
        headers: those of the request; capitals do not matter.
        body: the bytes as they came, before anything read them.
        now: seconds since 1970: `time.time()`.

    Raises: AuthenticationFailed if it is not signed with the secret or not fresh; InvalidRequest if it cannot be read.
    """
    name = _checked("Kling", _text_of("Kling", secret), headers, body, now)
    data = _json(body)
    try:
        if read(_Kind, data).task_id is not None:
            legacy = read(_LegacyTask, data)
            return WebhookEvent(name, job_id(legacy.task_id), word_of(legacy.task_status), "kling-legacy")
        task = read(_Task, data)
        return WebhookEvent(name, job_id(task.id), word_of(task.status), "kling")
    except Unreadable as why:
        raise _unreadable("body", "no task", str(why)) from None


def verify_openai(secret: str | Secret, headers: Mapping[str, str], body: bytes, *, now: float) -> WebhookEvent:
    """The event that a callback of OpenAI, or of a server that speaks its protocol, is.

    Args:
        secret: that of the endpoint; without "whsec_" its own bytes are the key.
        headers: those of the request; capitals do not matter.
        body: the bytes as they came, before anything read them.
        now: seconds since 1970: `time.time()`.

    Raises: AuthenticationFailed if it is not signed with the secret or not fresh; InvalidRequest if it cannot be read,
    or is no event of a video.
    """
    text = _text_of("OpenAI", secret)
    name = _checked("OpenAI", text if text.startswith(_PREFIX) else text.encode(), headers, body, now)
    try:
        event = read(_Event, _json(body))
        remote_id = job_id(event.data.id)
    except Unreadable as why:
        raise _unreadable("body", "no event of a video", str(why)) from None
    if (kind := _TYPE.fullmatch(event.type)) is None:
        raise _unreadable("body", f'an event of type "{word_of(event.type)}"', "")
    return WebhookEvent(name, remote_id, word_of(kind[1]), "openai-videos")


def _text_of(vendor: str, secret: object) -> str:
    text = secret.reveal() if isinstance(secret, Secret) else secret
    if not isinstance(text, str) or not text.removeprefix(_PREFIX).strip():
        raise _bad_secret(vendor)
    return text.strip()


def _checked(vendor: str, key: str | bytes, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """The id of a delivery whose signature and time are right."""
    if not isinstance(body, bytes):
        raise _unreadable("body", f"a {type(body).__name__}", "the raw bytes, before anything read them")
    if len(body) > MOST_BYTES:
        raise _unreadable("body", f"{len(body)} bytes", f"at most {MOST_BYTES} bytes")
    given = {str(name).lower(): value for name, value in headers.items()} if isinstance(headers, Mapping) else {}
    name, stamp, signatures = (given.get(f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not isinstance(name, str) or not isinstance(stamp, str) or not isinstance(signatures, str):
        raise _not_theirs(vendor, "a header is missing: webhook-id, webhook-timestamp or webhook-signature")
    if not re.fullmatch(r"[!-~]{1,200}", name) or not re.fullmatch(r"[1-9][0-9]{0,11}", stamp):
        raise _not_theirs(vendor, "webhook-id or webhook-timestamp is of no form that vendors send")
    expected = _signature(vendor, key, name, int(stamp), body)
    # several where the secret was changed: for a week the old one signs beside the new one (Kling's callback page)
    each = (one.encode("utf-8", "surrogatepass") for one in signatures.split(" "))
    if not any(hmac.compare_digest(expected, one) for one in each):
        raise _not_theirs(vendor, "no signature fits the secret and the body")
    if not (away := abs(now - int(stamp))) <= FRESH_S:
        raise _not_theirs(
            vendor, f"it was signed {away:.0f} s before or after this moment, and {FRESH_S} s are allowed"
        )
    return name


def _signature(vendor: str, key: str | bytes, name: str, stamp: int, body: bytes) -> bytes:
    try:
        from standardwebhooks import Webhook
    except ImportError:
        raise AuthenticationFailed(
            "Callbacks are checked by standardwebhooks, which is not installed.",
            hint="pip install 'multivideo[webhooks]'",
        ) from None
    if isinstance(key, str) and not _BASE64.fullmatch(key):  # read loosely, it could be an empty key
        raise _bad_secret(vendor)
    try:
        signer = Webhook(key)
    except Exception:  # noqa: BLE001 - the library has errors of several kinds, and their words may hold the secret
        raise _bad_secret(vendor) from None
    try:
        return signer.sign(name, dt.datetime.fromtimestamp(stamp, dt.UTC), body.decode()).encode()
    except Exception:  # noqa: BLE001 - as above; bytes that are no text were signed by nobody
        raise _not_theirs(vendor, "its body or its time is of no form that vendors send") from None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _unreadable("body", "no JSON", "") from None


def _not_theirs(vendor: str, why: str) -> MultiVideoError:
    return AuthenticationFailed(
        f"This callback does not count as {vendor}'s: {why}.",
        hint="answer 401 and do nothing else; if it is honest, look at the secret and at this machine's clock",
    )


def _bad_secret(vendor: str) -> InvalidRequest:
    allowed = f'what {vendor} shows for the endpoint: "whsec_..."'
    what = f"This is no secret of {vendor}'s callbacks."
    return InvalidRequest.of([Problem("secret", "text that is no such secret", allowed, what)])


def _unreadable(field: str, asked: str, allowed: str) -> InvalidRequest:
    what = "This callback cannot be read."
    return InvalidRequest.of([Problem(field, asked, allowed or "an event of a video", what)])
