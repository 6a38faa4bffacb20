"""Google's other door: Veo on the Gemini API (`/gemini/v1beta/...`) as it was served until 2026-10-22."""

from __future__ import annotations

import re
import string
from typing import Literal

from attrs import define, field

from multivideo.sandbox.clip import Film
from multivideo.sandbox.faults import Fault, deliver
from multivideo.sandbox.gemini_order import SERVED, read_order
from multivideo.sandbox.google_veo import BadArgument, film_of_job
from multivideo.sandbox.google_wire import FILTERED, error, failure, read_body
from multivideo.sandbox.jobs import Job, JobStore, State
from multivideo.sandbox.wire import Refused, Reply, Request, json_reply

__all__ = ["GeminiDoor"]

_NAME = "gemini"
_VERSION = "v1beta"
_HOST = "https://generativelanguage.googleapis.com"
_RESPONSE_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
_LETTERS = string.ascii_lowercase + string.digits
_FILE = re.compile(r"files/([a-z0-9]+)")
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API consumer identity to call this API."
)


def _fault_reply(fault: Fault) -> Reply:
    """What Google answers with an injected status. Of 429 the shape is known, its metric and its delay are ours."""
    status = int(fault.value)
    if status != 429:
        return error(status, "The service is currently unavailable." if status == 503 else "Internal error.").reply
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/predict_long_running_requests",
        "quotaId": "PredictLongRunningRequestsPerMinutePerProject",
        "quotaValue": "2",
    }
    details: list[object] = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"},
    ]
    message = "You exceeded your current quota, please check your plan and billing details."
    return error(status, message, details).reply


@define(eq=False)
class GeminiDoor:
    """Start, poll, files and models.

    Args:
        file_uris: whose host the links to files name: Google's, or the emulator's own.
        strict_lifecycle: every model is answered as gone.
    """

    _store: JobStore
    _file_uris: Literal["upstream", "self"] = "upstream"
    _strict_lifecycle: bool = False
    _files: dict[str, Job] = field(factory=dict)

    async def handle(self, request: Request) -> Reply:
        """Any answer of this door."""
        key = _credential(request)
        asked = request.segments[1:]
        if asked[:1] == ("download",):  # the path that some clients fetch files from
            asked = asked[1:] if asked[2:3] == ("files",) else ()
        match request.method, asked:
            case "POST", (version, "models", call) if version == _VERSION and call.endswith(":predictLongRunning"):
                return self._start(request, key, call.removesuffix(":predictLongRunning"))
            case "GET", (version, "models", model, "operations", name) if version == _VERSION:
                return self._poll(request, key, f"models/{model}/operations/{name}")
            case "GET", (version, "files", call) if version == _VERSION and call.endswith(":download"):
                return await self._download(request, key, call.removesuffix(":download"))
            case "GET", (version, "models", model) if version == _VERSION:
                return self._model(model)
        raise error(404, f"Method not found: {request.method} /{'/'.join(request.segments[1:])}")

    def _check_model(self, model: str, method: str) -> None:
        if model not in SERVED:
            raise error(
                404, f"models/{model} is not found for API version {_VERSION}, or is not supported for {method}."
            )
        if self._strict_lifecycle:
            raise error(404, f"This model models/{model} is no longer available.")

    def _model(self, model: str) -> Reply:
        """What is told of a model: the cheapest way to see whether a key is good."""
        self._store.faults.strike(_NAME, _fault_reply)
        self._check_model(model, "getModel")
        tier = next((f" {word}" for word in ("Fast", "Lite") if word.lower() in model), "")
        about = {"name": f"models/{model}", "version": "3.1", "displayName": f"Veo 3.1{tier}"}
        return json_reply(200, {**about, "supportedGenerationMethods": ["predictLongRunning"]})

    def _start(self, request: Request, key: str, model: str) -> Reply:
        def find(uri: str) -> Film | None:
            named = _FILE.search(uri)
            job = self._file(named[1]) if named else None
            return film_of_job(job, job.clips[0]) if job and job.credential == key and self._is_kept(job) else None

        body = read_body(request)
        self._check_model(model, "predictLongRunning")
        try:
            draft = read_order(model, body, find)
        except BadArgument as bad:
            raise error(400, str(bad)) from None
        name = f"models/{model}/operations/{self._new_id()}"
        self._store.accept(request, _NAME, key, draft, name, _fault_reply)
        return json_reply(200, {"name": name})

    def _poll(self, request: Request, key: str, name: str) -> Reply:
        job = self._store.get(_NAME, name)
        if job is None or job.credential != key:
            raise _no_operation(name)
        job.look(_fault_reply)
        if job.hidden:
            raise _no_operation(name)
        state = job.state(self._store.clock.wall())
        if not state.over:
            return json_reply(200, {"name": name})
        if state is State.FAILED:
            return json_reply(200, {"name": name, "done": True, "error": failure(job)})
        made: dict[str, object] = {}  # neither video nor reason was seen too
        if state is State.FILTERED:
            made = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": [FILTERED.format(count=1)]}
        elif job.clips:
            made = {"generatedSamples": [{"video": {"uri": self._link(request, job)}}]}
        response = {"@type": _RESPONSE_TYPE, "generateVideoResponse": made}
        return json_reply(200, {"name": name, "done": True, "response": response})

    def _link(self, request: Request, job: Job) -> str:
        file = _file_id(job)
        self._files[file] = job
        base = _HOST if self._file_uris == "upstream" else f"{request.origin}/{_NAME}"
        return f"{base}/{_VERSION}/files/{file}:download?alt=media"

    async def _download(self, request: Request, key: str, file: str) -> Reply:
        job = self._file(file)
        if job is not None and job.credential != key:
            raise error(403, f"You do not have permission to access the file {file}.")
        if job is None:
            raise _no_file(file)
        hits = job.fetch(_fault_reply)
        if not self._is_kept(job) or "download_late" in hits:
            raise _no_file(file)
        return deliver(request, hits, await self._store.pool.fetch(job.clips[0]), "video/mp4")

    def _file(self, file: str) -> Job | None:
        if file not in self._files:  # another process gave the link
            self._files |= {_file_id(job): job for job in self._store.all(_NAME)}
        return self._files.get(file)

    def _is_kept(self, job: Job) -> bool:
        return job.state(self._store.clock.wall()) is State.DONE

    def _new_id(self) -> str:
        return "".join(self._store.random.choices(_LETTERS, k=12))


def _file_id(job: Job) -> str:
    """Twelve lower-case letters and digits: Google's client stops reading a file id at anything else."""
    number = job.number("file", 60)
    return "".join(_LETTERS[number // 36**place % 36] for place in range(12))


def _credential(request: Request) -> str:
    """The key, of the header or of the query."""
    key = (request.headers.get("x-goog-api-key") or request.query.get("key") or "").strip()
    if not key:
        raise error(403, _NO_KEY)
    if key == "bad-key":
        detail = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        raise error(400, "API key not valid. Please pass a valid API key.", [detail])
    return key


def _no_operation(name: str) -> Refused:
    return error(404, f"The operation {name} was not found.")


def _no_file(file: str) -> Refused:
    return error(404, f"The file {file} was not found, or is no longer kept.")
