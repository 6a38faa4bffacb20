"""The rows of the matrix: every fault at every step, and what is wanted of it at each door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fault_acts import (
    books_broken,
    books_busy,
    books_full,
    cancel_at,
    cancel_while_waiting,
    disk_full,
    folder_shut,
    no_credit,
    no_key,
    no_price,
    over_budget,
    told,
)
from fault_plays import Answered, Broken, Play, Rewritten, Scripted
from fault_rig import Row

import multivideo as mv

__all__ = ["ROWS", "STEPS"]

STEPS: Mapping[str, str] = {
    "quote": "Quote: before anything is held or sent",
    "reserve": "Reserve: the credits are held, nothing is sent yet",
    "submit": "Submit: the paid call",
    "poll": "Poll: a look at the running job",
    "download": "Download: the finished file",
    "look up": "Look up: a recovery asks for a job whose answer was lost",
    "callback": "Callback: the vendor tells of a job",
}

VIDEO = {"all": "video"}
KEPT = "OutcomeUnknown · unknown → held"
MADE = {"all": "OutcomeUnknown · unknown → video", "litellm": KEPT, "vertex": KEPT, "gemini": KEPT}
NOT_MADE = {"all": KEPT, "kling": "OutcomeUnknown · unknown → absent"}
INLINE = {"vertex": "the video comes inside the answer to a poll"}
NO_LOOK_UP = {
    "litellm": "its list asks one upstream vendor alone",
    "vertex": "Vertex lists no operations and takes no id of ours",
    "gemini": "nothing is listed, and no id of ours goes along",
}
ONLY_KLING = {"openai": "a code of Kling's", "google": "a code of Kling's"}
NO_CALLBACKS = {"litellm": "it posts none", "google": "Google's videos come without callbacks"}
PRICED = {"kling": "all of its models have a price", "google": "all of its models have a price"}
WHOLE = {"openai": "seen to lack nothing", "google": "seen to lack nothing"}
FOREVER = 1_000_000

# What a socket can do, by its name in `fault_line`.
UNSENT = {
    "no name": "the name has no address",
    "refused": "connection refused",
    "untrusted": "TLS: a certificate that nobody vouches for",
    "no handshake": "TLS: the handshake is broken off",
}
SENT = {
    "close": "closed without an answer",
    "reset": "reset without an answer",
    "half head": "half of the head, then closed",
    "half body": "half of the body, then closed",
    "stall": "silence",
    "drip": "a byte now and then",
    "garbage": "no HTTP",
}
UNREAD = "reset before the request was read"


def _of(*plays: Play) -> dict[str, tuple[Play, ...]]:
    return {"all": plays}


def _script(**words: Any) -> dict[str, tuple[Play, ...]]:
    return _of(Scripted(words))


def _each(vendors: Mapping[str, Play]) -> dict[str, tuple[Play, ...]]:
    return {name: (play,) for name, play in vendors.items()}


def _row(step: str, name: str, want: str | Mapping[str, str], **more: Any) -> Row:
    return Row(step=step, name=name, want={"all": want} if isinstance(want, str) else want, **more)


def _quote() -> list[Row]:
    invalid = "InvalidRequest · no"
    return [
        _row("quote", "a field that cannot be", invalid, more={"seed": -1}, sends={"all": 0}),
        _row(
            "quote", "three fields that cannot be", invalid, more={"seed": -1, "fps": 0, "colour": 1}, sends={"all": 0}
        ),
        _row("quote", "a model that nobody knows", invalid, more={"model": "sorra-9"}, sends={"all": 0}),
        _row("quote", "what the model cannot do", "UnsupportedFeature · no", more={"duration": 99}, sends={"all": 0}),
        _row(
            "quote", "dearer than it may be", "BudgetExceeded · no", more={"budget": mv.usd("0.01")}, sends={"all": 0}
        ),
        _row(
            "quote",
            "a budget, and a price that nobody knows",
            {"openai": "BudgetExceeded · no"},
            act=no_price,
            unfit=PRICED,
            sends={"all": 0},
        ),
        _row("quote", "no key for anybody", "NoProviderConfigured · no", act=no_key, sends={"all": 0}),
    ]


def _reserve() -> list[Row]:
    def row(name: str, error: str, set_up: Any) -> Row:
        return _row("reserve", name, f"{error} → video", set_up=set_up, tries_again=True)

    return [
        row("no credit", "InsufficientCredits · no", no_credit),
        row("a budget is used up", "BudgetExceeded · no", over_budget),
        row("the books are busy", "LedgerError · no · again", books_busy),
        row("the disk of the books is full", "LedgerError · no", books_full),
        row("the file of the books is broken", "LedgerError · no", books_broken),
        row("the folder of the video cannot be made", "InvalidRequest · no", folder_shut),
    ]


_NO_QUOTA: Mapping[str, Play] = {
    "openai": Answered("submit", 429, b'{"error": {"message": "You exceeded it", "code": "insufficient_quota"}}'),
    "kling": Scripted({"submit": "1102"}),
    "google": Answered(
        "submit",
        429,
        b'{"error": {"code": 429, "message": "Check your plan and billing", "status": "RESOURCE_EXHAUSTED"}}',
    ),
}
_SAYS_RETRY = Answered(
    "submit", 503, b'{"error": {"message": "overloaded", "code": "server_error"}}', {"x-should-retry": "true"}
)


def _submit_lines() -> list[Row]:
    unreachable = "ProviderUnavailable · no · again"
    rows = [_row("submit", words, VIDEO, plays=_of(Broken(how, "submit"))) for how, words in UNSENT.items()]
    rows += [
        _row("submit", f"{words}, four times", unreachable, plays=_of(Broken(how, "submit", 4)), sends={"all": 0})
        for how, words in UNSENT.items()
    ]
    rows += [_row("submit", UNREAD, NOT_MADE, plays=_of(Broken("reset unread", "submit")))]
    rows += [_row("submit", words, MADE, plays=_of(Broken(how, "submit"))) for how, words in SENT.items()]
    return rows


def _submit_refusals() -> list[Row]:
    """Answers that prove that there is no job."""
    invalid, auth = "InvalidRequest · no", "AuthenticationFailed · no"
    kinds = {400: invalid, 401: auth, 403: auth, 404: "UnsupportedFeature · no", 405: invalid, 413: invalid}
    kinds |= {415: invalid, 422: invalid}
    rows = [_row("submit", f"HTTP {status}", want, plays=_script(submit=str(status))) for status, want in kinds.items()]
    bare = {402: "RateLimited · no", 410: "UnsupportedFeature · no", 400: invalid}
    rows += [
        _row("submit", f"HTTP {status} without a body", want, plays=_script(submit_bare=str(status)))
        for status, want in bare.items()
    ]
    blocked = {"openai": "sentinel_block", "kling": "content_policy", "google": "input_blocked"}
    return [
        *rows,
        _row("submit", "the content is refused", "ContentFiltered · no", words=blocked),
        *_submit_later(),
    ]


def _submit_later() -> list[Row]:
    """Refusals that mean later: what is clean is sent again, for as long as that is worth while."""
    again = {"all": 2}
    return [
        _row("submit", "HTTP 429, once", VIDEO, plays=_script(submit="429"), sends=again),
        _row("submit", "HTTP 429 without a body", VIDEO, plays=_script(submit_bare="429"), sends=again),
        _row("submit", "HTTP 429, 30 s are asked", VIDEO, plays=_script(submit="429", retry_after="30"), sends=again),
        _row(
            "submit",
            "HTTP 429, 10 minutes are asked",
            "RateLimited · no · again",
            plays=_script(submit="429", retry_after="600"),
        ),
        _row(
            "submit",
            "HTTP 429 until the deadline",
            "ProviderUnavailable · no · again",
            plays=_script(submit=f"429*{FOREVER}"),
            more={"deadline": 120},
            sends={},
        ),
        _row("submit", "quota or units used up", "RateLimited · no", plays=_each(_NO_QUOTA)),
        _row(
            "submit",
            "HTTP 503 in the vendor's words",
            {"all": "video", "openai": KEPT},
            plays=_script(submit="503"),
            sends={"all": 2, "openai": 1},
        ),
        _row(
            "submit",
            "HTTP 503, x-should-retry: true",
            {"openai": "video", "litellm": KEPT},
            plays=_of(_SAYS_RETRY),
            unfit={"kling": "a header of OpenAI's", "google": "a header of OpenAI's"},
            sends={"openai": 2, "litellm": 1},
        ),
    ]


def _submit_kling() -> list[Row]:
    """Kling's codes decide, whatever HTTP says."""
    absent, auth = "OutcomeUnknown · unknown → absent", "AuthenticationFailed · no"
    wants: Mapping[str, tuple[str, Mapping[str, str]]] = {
        "1003": ("its clock says that the token is of the future", {"kling": auth, "kling-legacy": "video"}),
        "1004": ("its clock says that the token is over", {"kling": auth, "kling-legacy": "video"}),
        "1100": ("the account is blocked", {"kling": auth}),
        "1303": ("too many at once", {"kling": "video"}),
        "5000": ("an internal error", {"kling": absent}),
        "5001": ("out of order for a while", {"kling": "video"}),
        "5002": ("a timeout inside", {"kling": absent}),
    }
    known = b'{"code": 1201, "message": "external_task_id already exists", "request_id": "r"}'
    rows = [
        _row(
            "submit",
            f"Kling's {code}: {words}",
            want,
            plays=_script(submit=code),
            unfit=ONLY_KLING,
            sends={door: 2 if text == "video" else 1 for door, text in want.items()},
        )
        for code, (words, want) in wants.items()
    ]
    return [
        *rows,
        _row(
            "submit",
            "our own id is known already",
            {"kling": absent},
            plays=_of(Answered("submit", 400, known)),
            unfit=ONLY_KLING,
        ),
    ]


def _submit_doubt() -> list[Row]:
    """Answers that prove nothing, and nothing that is sent again."""
    huge = b'"' + b"x" * (9 * 1024 * 1024) + b'"'
    inside = {"all": KEPT, "kling": "InvalidRequest · no"}
    rows = [
        _row("submit", f"HTTP {status} without a body", NOT_MADE, plays=_script(submit_bare=str(status)))
        for status in (302, 408, 409, 418, 500, 501, 502, 503, 504, 520)
    ]
    return [
        _row("submit", "it arrived, no job was made, the answer was lost", NOT_MADE, plays=_script(submit_drop=True)),
        *rows,
        _row("submit", "HTTP 500 after the job was made", MADE, plays=_script(made="500")),
        _row("submit", "HTTP 200 with a refusal inside", inside, plays=_script(submit_as_200="400")),
        _row("submit", "HTTP 200 with a fault inside", NOT_MADE, plays=_script(submit_as_200="500")),
        _row("submit", "HTTP 200 with a web page", NOT_MADE, plays=_of(Answered("submit", 200, b"<html></html>"))),
        _row("submit", "HTTP 200 without a body", NOT_MADE, plays=_of(Answered("submit", 200))),
        _row("submit", "HTTP 200, a job was made and has no id", MADE, plays=_of(Rewritten("submit", rb"^.*$", b"{}"))),
        _row("submit", "HTTP 200, JSON too deep", NOT_MADE, plays=_of(Answered("submit", 200, b"[" * 100_000))),
        _row("submit", "HTTP 200 with 9 MiB", MADE, plays=_of(Rewritten("submit", rb"^.*$", huge))),
    ]


def _submit_cancel() -> list[Row]:
    refused = _script(submit="429")
    return [
        _row("submit", "cancelled before it leaves", "cancelled", plays=refused, set_up=cancel_while_waiting),
        _row("submit", "cancelled while it is under way", "cancelled → video", set_up=cancel_at("submit")),
    ]


def _poll() -> list[Row]:
    rows = [
        _row("poll", words, VIDEO, plays=_of(Broken(how, "poll")))
        for how, words in {**UNSENT, "reset unread": UNREAD, **SENT}.items()
    ]
    held, auth = "ProviderUnavailable · held → video", "AuthenticationFailed · held → video"
    statuses = {400: held, 401: auth, 403: auth, 429: "video", 500: "video", 502: "video", 503: "video", 504: "video"}
    rows += [_row("poll", f"HTTP {status}", want, plays=_script(poll=str(status))) for status, want in statuses.items()]
    rows += [
        _row("poll", f"HTTP {status} without a body", "video", plays=_script(poll_bare=str(status)))
        for status in (302, 404, 408, 503)
    ]
    return [*rows, *_poll_words(), *_poll_for_long(), *_poll_ends()]


def _poll_words() -> list[Row]:
    huge = b'"' + b"x" * (9 * 1024 * 1024) + b'"'
    return [
        _row("poll", "HTTP 429, 20 s are asked, three times", VIDEO, plays=_script(poll="429*3", retry_after="20")),
        _row("poll", "HTTP 200 with a web page", VIDEO, plays=_of(Answered("poll", 200, b"<html></html>", times=2))),
        _row("poll", "HTTP 200 with {}", VIDEO, plays=_of(Answered("poll", 200, b"{}", times=2))),
        _row("poll", "HTTP 200 with a fault inside", VIDEO, plays=_script(poll_as_200="500")),
        _row("poll", "HTTP 200, JSON too deep", VIDEO, plays=_of(Answered("poll", 200, b"[" * 100_000))),
        _row("poll", "HTTP 200 with 9 MiB", VIDEO, plays=_of(Answered("poll", 200, huge))),
        _row("poll", "the job is not to be seen yet", VIDEO, plays=_script(late="*2")),
        _row(
            "poll",
            "a status word that nobody knows",
            VIDEO,
            plays=_script(unknown_status="*2"),
            unfit={"google": "Veo has no status words"},
        ),
        _row("poll", "all that may be missing is", VIDEO, plays=_script(lean="*50"), unfit=WHOLE),
    ]


def _poll_for_long() -> list[Row]:
    gone = "ProviderUnavailable · held · again"
    return [
        _row(
            "poll",
            "HTTP 401 for good: the key was changed",
            "AuthenticationFailed · held → AuthenticationFailed · held",
            plays=_script(poll=f"401*{FOREVER}"),
            lasts=True,
        ),
        _row("poll", "HTTP 500 for half an hour", f"{gone} → video", plays=_script(poll=f"500*{FOREVER}")),
        _row(
            "poll",
            "HTTP 200 with a web page for half an hour",
            f"{gone} → video",
            plays=_of(Answered("poll", 200, b"<html></html>", times=FOREVER)),
        ),
        _row(
            "poll",
            "the job has vanished",
            f"{gone} → ProviderUnavailable · held",
            plays=_script(vanish="@2"),
            lasts=True,
        ),
        _row("poll", "the job has vanished, and is there again", f"{gone} → video", plays=_script(vanish="@2")),
        _row("poll", "the deadline comes first", "StillRunning · held · again → video", more={"deadline": 5}),
        _row(
            "poll",
            "the job never ends",
            "StillRunning · held · again → StillRunning · held",
            plays=_script(stuck=True),
            more={"deadline": 120},
            lasts=True,
        ),
    ]


def _poll_ends() -> list[Row]:
    blocked = {"openai": "moderation_blocked", "kling": "risk_control", "google": "safety_filtered"}
    failed = {"openai": "video_generation_failed", "kling": "generation_failed", "google": "operation_error"}
    no_reason = {"openai": (), "kling": (), "google": (Rewritten("poll", rb"Support codes?:[ \d,]*", b""),)}
    return [
        _row(
            "poll",
            "the result is filtered",
            {"all": "ContentFiltered · no", "openai": "ContentFiltered · unknown"},
            words=blocked,
        ),
        _row(
            "poll",
            "the job failed",
            {
                "openai": "GenerationFailed · unknown · again",
                "kling": "GenerationFailed · no",
                "google": "GenerationFailed · unknown",
            },
            plays=no_reason,
            words=failed,
        ),
        _row(
            "poll",
            "done, with neither a video nor a reason",
            {"google": "GenerationFailed · unknown · again"},
            words={"google": "no_videos"},
            unfit={
                "openai": "its done jobs have a file",
                "kling": "such a job counts as not done: see the next row but one",
            },
        ),
        *_poll_strange(),
    ]


def _poll_strange() -> list[Row]:
    """Jobs that are done, and not as they should be."""
    bill: dict[str, tuple[Play, ...]] = {
        "kling": (Rewritten("poll", rb'("amount": ?")([\d.]+)"', rb'\g<1>9"'),),
        "kling-legacy": (Rewritten("poll", rb'("final_unit_deduction": ?")([\d.]+)"', rb'\g<1>9"'),),
    }
    return [
        _row(
            "poll",
            "one of two takes is filtered",
            VIDEO,
            words={"google": "filter_one"},
            more={"count": 2},
            unfit={"openai": "one take a call", "kling": "one take a call", "gemini": "one take a call"},
        ),
        _row(
            "poll",
            "done, and no address of the file",
            {"kling": "StillRunning · held · again → video", "google": "ProviderUnavailable · held · again → video"},
            plays={
                "kling": (Rewritten("poll", rb'"url": ?"[^"]*"', b'"url": ""'),),
                "vertex-bucket": (Rewritten("poll", rb'"gcsUri": ?"[^"]*"', b'"gcsUri": ""'),),
                "gemini": (Rewritten("poll", rb'"uri": ?"[^"]*"', b'"uri": ""'),),
            },
            unfit={"openai": "its files lie under the job's id", **INLINE},
            more={"deadline": 3000},
        ),
        _row(
            "poll",
            "the bill says another price",
            VIDEO,
            plays=bill,
            unfit={"openai": "it sends no bill", "google": "it sends no bill"},
            factor={"kling": 9},
        ),
    ]


def _download() -> list[Row]:
    rows = [
        _row("download", words, VIDEO, plays=_of(Broken(how, "download")), unfit=INLINE)
        for how, words in {**UNSENT, "reset unread": UNREAD, **SENT}.items()
    ]
    rows += [
        _row("download", f"HTTP {status}", VIDEO, plays=_script(download=str(status)), unfit=INLINE)
        for status in (401, 403, 404, 410, 416, 429, 500, 503)
    ]
    return [*rows, *_download_files(), *_download_addresses(), *_download_machine()]


def _download_files() -> list[Row]:
    failed, inside = "DownloadFailed · yes · again → video", "ProviderUnavailable · held · again → video"
    want = {"all": failed, "vertex": inside}
    return [
        _row("download", "the address has expired", VIDEO, plays=_script(download_expired=True), unfit=INLINE),
        _row(
            "download",
            "the address has expired, for good",
            {"all": "DownloadFailed · yes · again → DownloadFailed · yes"},
            plays=_script(expired=True),
            unfit=INLINE,
            lasts=True,
        ),
        _row("download", "the file is not there yet", VIDEO, plays=_script(download_late=True)),
        _row("download", "cut after half of it", VIDEO, plays=_script(download_cut=True)),
        _row("download", "cut, each time", want, plays=_script(download_cut=f"*{FOREVER}")),
        _row("download", "half of it, as if that were all", VIDEO, plays=_script(download_short=True)),
        _row("download", "half of it, each time", want, plays=_script(download_short=f"*{FOREVER}")),
        _row("download", "a web page", VIDEO, plays=_script(download_html=True)),
        _row("download", "a web page, each time", want, plays=_script(download_html=f"*{FOREVER}")),
        _row("download", "HTTP 500, each time", want, plays=_script(download=f"500*{FOREVER}")),
        _row(
            "download",
            "under a content type of its own",
            VIDEO,
            plays=_script(download_type="application/octet-stream"),
        ),
        *_download_wrong(),
    ]


def _download_wrong() -> list[Row]:
    """A whole file that is not the one that was ordered, or cannot be one."""
    huge = {"content-length": str(5 * 1024**3), "content-type": "video/mp4"}
    return [
        _row("download", "spoiled bytes", VIDEO, plays=_script(download_corrupt=True)),
        _row(
            "download",
            "another size than was ordered",
            "DeliverableMismatch · yes",
            plays=_script(deliver="size"),
            more={"strict": True},
            keeps_a_file=True,
        ),
        _row(
            "download",
            "it says that it has 5 GiB",
            "DownloadFailed · yes → video",
            plays=_of(Answered("download", 200, b"\0" * 64, huge, times=FOREVER)),
            unfit=INLINE,
        ),
    ]


def _download_addresses() -> list[Row]:
    failed = "DownloadFailed · yes · again → video"
    places = {
        "to a private address": b"https://10.0.0.1/file",
        "to the metadata of a cloud": b"https://169.254.169.254/latest",
        "without encryption": b"http://files.example/file",
        "to another kind of address": b"ftp://files.example/file",
        "to no address": b"https://",
    }
    own = {"kling": rb'("url": ?")[^"]*"', "gemini": rb'("uri": ?")[^"]*"'}
    unfit = {"openai": "its files lie under the job's id", "vertex-bucket": "its files lie in the bucket", **INLINE}
    rows = [
        _row("download", f"it leads {where}", failed, plays=_of(_leading(to)), unfit=INLINE, wired=True)
        for where, to in places.items()
    ]
    rows += [
        _row("download", f"its address leads {where}", failed, plays=_given(own, to), unfit=unfit, wired=True)
        for where, to in list(places.items())[:3]
    ]
    elsewhere = _script(download_redirect="https://files.example/file")
    return [
        *rows,
        _row("download", "it leads elsewhere, where nothing lies", VIDEO, plays=elsewhere, unfit=INLINE),
        _row("download", "it leads round in circles", failed, plays=_of(_leading(b"?")), unfit=INLINE),
    ]


def _leading(to: bytes) -> Answered:
    return Answered("download", 302, b"", {"location": to.decode()}, times=FOREVER)


def _given(patterns: Mapping[str, bytes], to: bytes) -> dict[str, tuple[Play, ...]]:
    return {door: (Rewritten("poll", pattern, rb"\g<1>" + to + b'"'),) for door, pattern in patterns.items()}


def _download_machine() -> list[Row]:
    return [
        _row(
            "download",
            "the disk is full",
            {"all": "LedgerError · yes → video", "vertex": "LedgerError · held → video"},
            set_up=disk_full,
        ),
        _row("download", "cancelled while it comes", "cancelled → video", set_up=cancel_at("download"), unfit=INLINE),
        _row("download", "cancelled while it is looked at", "cancelled → video", set_up=cancel_at("poll")),
    ]


def _look_up() -> list[Row]:
    lost = Broken("close", "submit")
    rows = [
        _row("look up", words, MADE, plays=_of(lost, Broken(how, "look up")), unfit=NO_LOOK_UP)
        for how, words in {**UNSENT, "reset unread": UNREAD, **SENT}.items()
    ]
    made = Scripted({"made_drop": True})
    statuses = {400: KEPT, 401: KEPT, 403: KEPT, 429: MADE["all"], 500: MADE["all"], 503: MADE["all"]}
    rows += [
        _row("look up", f"HTTP {status}", want, plays=_of(made, Answered("look up", status)), unfit=NO_LOOK_UP)
        for status, want in statuses.items()
    ]
    nothing = {
        "openai": (made, Answered("look up", 200, b'{"data": [], "has_more": false}', times=2)),
        "kling": (made, Answered("look up", 200, b'{"code": 0, "data": []}', times=2)),
        "kling-legacy": (made, Answered("look up", 404, b'{"code": 1203, "message": "no such task"}', times=2)),
        "vertex-bucket": (made, Answered("look up", 200, b"{}", times=2)),
    }
    page = Answered("look up", 200, b"<html></html>")
    return [
        *rows,
        _row("look up", "HTTP 200 with a web page", MADE, plays=_of(made, page), unfit=NO_LOOK_UP),
        _row("look up", "not to be seen at the first two looks", MADE, plays=nothing, unfit=NO_LOOK_UP),
        _row(
            "look up",
            "out of reach for half an hour",
            KEPT,
            plays=_of(lost, Broken("refused", "look up", FOREVER)),
            unfit=NO_LOOK_UP,
        ),
    ]


def _callback() -> list[Row]:
    refused, taken = "AuthenticationFailed → video", "taken → video"
    wants = {
        "as it comes": taken,
        "twice": taken,
        "out of order": taken,
        "a lie": taken,
        "of another job": taken,
        "unsigned": refused,
        "forged": refused,
        "signed by somebody else": refused,
        "old": refused,
        "of the future": refused,
        "no JSON": "InvalidRequest → video",
    }
    return [
        _row("callback", name, want, act=told(name), unfit=NO_CALLBACKS, hooks=True) for name, want in wants.items()
    ]


ROWS: tuple[Row, ...] = (
    *_quote(),
    *_reserve(),
    *_submit_lines(),
    *_submit_refusals(),
    *_submit_kling(),
    *_submit_doubt(),
    *_submit_cancel(),
    *_poll(),
    *_download(),
    *_look_up(),
    *_callback(),
)
