"""What both of Kling's protocols share: who asks, how an answer is wrapped, what is refused, how a job is admitted.

A repeated `external_task_id` is refused with 1201; Kling does not say what it does.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from attrs import define

from multivideo.sandbox.faults import Fault
from multivideo.sandbox.fields import is_int, is_object, load_object
from multivideo.sandbox.jobs import Draft, Job, JobStore
from multivideo.sandbox.kling_products import UNIT_MICRO_USD
from multivideo.sandbox.kling_token import BadToken, access_key, is_signed
from multivideo.sandbox.wire import Refused, Reply, Request, json_reply

__all__ = ["MONTH_MS", "NAME", "Desk", "Filters"]

Filters = list[tuple[str, list[object]]]

NAME = "kling"
MONTH_MS = 30 * 86_400_000
_MOST_LISTED = 500
# Kling's error code page: code, HTTP status; the message where one was recorded, else the page's meaning.
_CODES: Mapping[int, tuple[int, str]] = {
    1000: (401, "Authentication failed"),
    1001: (401, "Authorization is empty"),
    1002: (401, "api key not found"),
    1003: (401, "Authorization is not yet valid"),
    1004: (401, "Authorization has expired"),
    1100: (429, "Account exception"),
    1101: (429, "Account in arrears"),
    1102: (429, "Resource pack depleted or expired"),
    1103: (403, "Unauthorized access to requested resource"),
    1200: (400, "Invalid request parameters"),
    1201: (400, "Invalid parameters"),
    1202: (404, "The requested method is invalid"),
    1203: (404, "The requested resource does not exist"),
    1300: (400, "Trigger the platform strategy"),
    1301: (400, "Trigger the content security policy"),
    1302: (429, "The API request is too fast"),
    1303: (429, "parallel task over resource pack limit"),
    1304: (429, "Trigger the IP whitelist policy"),
    5000: (500, "Server internal error"),
    5001: (503, "Server temporarily unavailable"),
    5002: (504, "Server internal timeout"),
}


@define(eq=False)
class Desk:
    """The front desk of the account.

    Args:
        slots: jobs under way at once per account and model, whatever the protocol.
        units: prepaid units of each account.
    """

    store: JobStore
    slots: int
    units: int

    def refuse(self, code: int, message: str | None = None) -> Refused:
        """A refusal with that code of Kling, in the words of its error page unless told others."""
        status, text = _CODES[code]
        return Refused(json_reply(status, {"code": code, "message": message or text, "request_id": self._uuid()}))

    def ok(self, data: object) -> Reply:
        """An answer that carries data."""
        return json_reply(200, {"code": 0, "message": "SUCCEED", "request_id": self._uuid(), "data": data})

    def fault(self, fault: Fault) -> Reply:
        """What Kling answers with an injected status, or with an injected code of its own."""
        value = int(fault.value)
        if value in _CODES:
            return self.refuse(value).reply
        code = {401: 1002, 403: 1103, 404: 1203, 429: 1302, 503: 5001, 504: 5002}.get(
            value, 5000 if value >= 500 else 1200
        )
        return json_reply(value, {"code": code, "message": _CODES[code][1], "request_id": self._uuid()})

    def account(self, request: Request, *, signed: bool) -> str:
        """Whose call it is: an API key speaks for itself, a token for its access key where `signed` ones are taken."""
        if not request.headers.get("authorization", "").strip():
            raise self.refuse(1001)
        token = request.bearer()
        if token is None:
            raise self.refuse(1002, "Authorization is invalid")
        if is_signed(token):
            if not signed:
                raise self.refuse(1002, "The current API does not support AK/SK")
            try:
                return access_key(token, self.store.clock.wall())
            except BadToken as bad:
                raise self.refuse(bad.code, bad.message) from None
        if token == "bad-key":  # noqa: S105 - the word by which a wrong key is played
            raise self.refuse(1002)
        return token

    def body(self, request: Request) -> Mapping[str, object]:
        """The JSON object of a call."""
        try:
            return load_object(request.body)
        except ValueError:
            raise self.refuse(1200, "Request body is not a valid JSON object") from None

    def strike(self) -> None:
        """Let faults of a call happen that is neither create, poll nor download."""
        self.store.faults.strike(NAME, self.fault)

    def limit(self, body: Mapping[str, object], default: int) -> int:
        """How much of a list is asked for."""
        limit = body.get("limit", default)
        if not is_int(limit) or not 1 <= limit <= _MOST_LISTED:
            raise self.refuse(1201, f"limit: must be between 1 and {_MOST_LISTED}")
        return limit

    def time(self, body: Mapping[str, object], name: str, default: int) -> int:
        """Milliseconds, as digits or as a number: the pages show both."""
        value = body.get(name) or default
        if is_int(value) or (isinstance(value, str) and value.isdecimal() and len(value) < 20):
            return int(value)
        raise self.refuse(1201, f"{name}: must be a time in milliseconds")

    def filters(self, body: Mapping[str, object], known: Mapping[str, Sequence[str] | None]) -> Filters:
        """The filters of a list: known keys, each with values out of a few words or, for None, with any text."""
        read: Filters = []
        given = body.get("filters", [])
        for place, item in enumerate(given if isinstance(given, list) else [None]):
            key = item.get("key") if is_object(item) else None
            values = item.get("values") if is_object(item) else None
            words = known.get(str(key)) if str(key) in known else ()
            if not isinstance(values, list) or any(not _is_word(word, words) for word in values) or words == ():
                raise self.refuse(1201, f"filters[{place}]: is invalid")
            read.append((str(key), values))
        return read

    def admit(self, request: Request, account: str, draft: Draft, *, id_field: str) -> Job:
        """The job of an order that is well-formed, in the order of Kling's checks: pack, content, own id, slots."""
        if self.store.spent(NAME, account) + draft.cost > self.units * UNIT_MICRO_USD:
            raise self.refuse(1102)
        if "content_policy" in draft.prompt.lower():
            raise self.refuse(1301)
        if draft.external_id and self.store.external(NAME, account, draft.external_id):
            raise self.refuse(1201, f"{id_field}: value '{draft.external_id}' already exists")
        if self.store.is_full(NAME, account, draft.model, self.slots):
            raise self.refuse(1303)
        return self.store.accept(request, NAME, account, draft, self.store.digits(18), self.fault)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.store.random.getrandbits(128), version=4))


def _is_word(word: object, words: Sequence[str] | None) -> bool:
    return isinstance(word, str) if words is None else word in words
