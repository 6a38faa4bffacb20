"""Google's door: Veo on Vertex AI (`/vertex/v1/...`), its token endpoint and its buckets."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable

from attrs import define, field

from multivideo.sandbox.faults import Fault, deliver
from multivideo.sandbox.google_order import read_order
from multivideo.sandbox.google_storage import Storage
from multivideo.sandbox.google_token import TokenDesk
from multivideo.sandbox.google_veo import MODELS, BadArgument, filtered_samples
from multivideo.sandbox.google_wire import FILTERED, error, failure, read_body, storage_error
from multivideo.sandbox.jobs import Job, JobStore, State
from multivideo.sandbox.wire import Refused, Reply, Request, json_reply

__all__ = ["VertexDoor"]

_NAME = "vertex"
_VERSIONS = ("v1", "v1beta1")
_REGION = "us-central1"
_RESPONSE_TYPE = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"
_NO_LOGIN = (
    "Request had invalid authentication credentials. "
    "Expected OAuth 2 access token, login cookie or other valid authentication credential."
)


def _fault_reply(fault: Fault) -> Reply:
    """What Google answers with an injected status."""
    status = int(fault.value)
    if status == 429:
        metric = "aiplatform.googleapis.com/long_running_online_prediction_requests_per_base_model"
        return error(status, f"Quota exceeded for {metric} with base model: veo-3.1-generate-001.").reply
    return error(status, "The service is currently unavailable." if status == 503 else "Internal error.").reply


def _storage_fault(fault: Fault) -> Reply:
    status = int(fault.value)
    return storage_error(status, "Too many requests." if status == 429 else "We encountered an internal error.").reply


@define(eq=False)
class VertexDoor:
    """Start, poll, tokens and buckets."""

    _store: JobStore
    _desk: TokenDesk = field(init=False)
    _storage: Storage = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._desk = TokenDesk(self._store)
        self._storage = Storage(self._store, _NAME, _storage_fault)

    async def handle(self, request: Request) -> Reply:
        """Any answer of this door."""
        match request.method, request.segments[1:]:
            case "POST", ("token",):
                self._store.faults.strike(_NAME, _fault_reply)
                return self._desk.grant(request)
            case "POST", (version, "publishers", "google", "models", _) if version in _VERSIONS:
                if not request.headers.get("x-goog-api-key"):
                    self._account(request)
                raise error(400, "Invalid resource field value in the request.")
        asked = request.segments[1:]
        account = self._account(request, storage_error if "storage" in asked[:2] else error)
        if asked[:2] == ("download", "storage"):  # where Google's own storage client fetches
            asked = asked[1:]
        match request.method, asked:
            case "GET", ("storage", "v1", "b", bucket, "o"):
                return self._storage.listing(bucket, request.query.get("prefix", ""))
            case "GET", ("storage", "v1", "b", bucket, "o", *path):
                return await self._storage.fetch(request, f"gs://{bucket}/{'/'.join(path)}")
            case "POST", ("upload", "storage", "v1", "b", bucket, "o"):
                return self._storage.keep(request, bucket)
            case "POST", (
                version, "projects", project, "locations", region, "publishers", "google", "models", call
            ) if version in _VERSIONS:  # fmt: skip
                model, _, verb = call.partition(":")
                name = f"projects/{project}/locations/{region}/publishers/google/models/{model}"
                if verb == "predictLongRunning":
                    return self._start(request, account, name, region, model)
                if verb == "fetchPredictOperation":
                    return await self._poll(request, name, region, model)
        raise error(404, f"Method not found: {request.method} /{'/'.join(request.segments[1:])}")

    def _account(self, request: Request, refuse: Callable[[int, str], Refused] = error) -> str:
        token = request.bearer()
        owner = self._desk.owner(token) if token else None
        if owner is None:
            raise refuse(401, _NO_LOGIN)
        return owner

    def _check_model(self, name: str, region: str, model: str) -> None:
        """Veo is served in one region only; elsewhere its models do not exist."""
        if region != _REGION or model not in MODELS:
            raise error(
                404,
                f"Publisher Model `{name}` was not found or your project does not have access to it. "
                "Please ensure you are using a valid model version.",
            )

    def _start(self, request: Request, account: str, name: str, region: str, model: str) -> Reply:
        body = read_body(request)
        self._check_model(name, region, model)
        try:
            draft = read_order(model, body, self._storage)
        except BadArgument as bad:
            raise error(400, str(bad)) from None
        operation = str(uuid.UUID(int=self._store.random.getrandbits(128), version=4))
        full = f"{name}/operations/{operation}"
        self._store.accept(request, _NAME, account, draft, full, _fault_reply)
        return json_reply(200, {"name": full})

    async def _poll(self, request: Request, name: str, region: str, model: str) -> Reply:
        asked = read_body(request).get("operationName")
        self._check_model(name, region, model)
        if not isinstance(asked, str) or not asked:
            raise error(400, "The operation name is required.")
        if not asked.startswith(f"{name}/operations/"):
            raise error(400, f"The operation '{asked}' does not belong to the resource '{name}'.")
        job = self._store.get(_NAME, asked)
        if job is None:
            raise error(404, f"The operation '{asked}' was not found.")
        job.look(_fault_reply)
        if job.hidden:
            raise error(404, f"The operation '{asked}' was not found.")
        state = job.state(self._store.clock.wall())
        if not state.over:
            return json_reply(200, {"name": asked})
        if state is State.FAILED:
            return json_reply(200, {"name": asked, "done": True, "error": failure(job)})
        return await self._done(request, job)

    async def _done(self, request: Request, job: Job) -> Reply:
        """The finished operation: links into a bucket, or the files themselves in Base64."""
        made, filtered = len(job.clips), filtered_samples(job)
        response: dict[str, object] = {"@type": _RESPONSE_TYPE, "raiMediaFilteredCount": filtered}
        if filtered:
            response["raiMediaFilteredReasons"] = [FILTERED.format(count=filtered)]
        if job.request["storageUri"] is not None:
            response |= {"videos": self._storage.links(job)} if made else {}
        elif made:
            files = [await self._store.pool.fetch(clip) for clip in job.clips]
            encoded = [base64.b64encode(data).decode() for data in files]
            response["videos"] = [{"bytesBase64Encoded": text, "mimeType": "video/mp4"} for text in encoded]
            answer = json.dumps({"name": job.id, "done": True, "response": response}).encode()
            return deliver(request, job.fetch(_fault_reply), answer, "application/json")
        return json_reply(200, {"name": job.id, "done": True, "response": response})
