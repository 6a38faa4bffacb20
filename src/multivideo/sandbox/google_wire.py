"""Google's error envelope and the words in which Veo fails, alike behind both doors."""

from __future__ import annotations

from collections.abc import Mapping

from multivideo.sandbox.fields import load_object
from multivideo.sandbox.jobs import Job
from multivideo.sandbox.wire import Refused, Request, json_reply

__all__ = ["FILTERED", "error", "failure", "read_body", "storage_error"]

FILTERED = (
    "Veo could not generate {count} videos based on the prompt provided. You will not be charged for this request. "
    "Try rephrasing the prompt. Support codes: 42237218"
)
# The published mapping of google.rpc codes: HTTP status, name.
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error(status: int, message: str, details: list[object] | None = None) -> Refused:
    """Google's error envelope, to be raised."""
    found: dict[str, object] = {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}
    return Refused(json_reply(status, {"error": found | ({"details": details} if details else {})}))


_REASON = {400: "invalid", 401: "required", 403: "forbidden", 404: "notFound", 429: "rateLimitExceeded"}


def storage_error(status: int, message: str) -> Refused:
    """The same of Cloud Storage, whose envelope is an older one (its page of status codes, read 2026-11-22)."""
    reason = _REASON.get(status, "backendError")
    errors = [{"domain": "global", "reason": reason, "message": message}]
    return Refused(json_reply(status, {"error": {"code": status, "message": message, "errors": errors}}))


def failure(job: Job) -> dict[str, object]:
    """The error of a failed operation: its code is one of google.rpc, no HTTP status."""
    if job.draft.reason == "operation_error":
        message = "Veo could not generate videos because the input violates the guidelines. Support codes: 58061214"
        return {"code": 3, "message": message}
    return {"code": 13, "message": "Video generation failed due to an internal error. Please try again."}


def read_body(request: Request) -> Mapping[str, object]:
    """The JSON object of a body, or a refusal."""
    try:
        return load_object(request.body)
    except ValueError:
        raise error(400, "Invalid JSON payload received. Unable to parse the body as a JSON object.") from None
