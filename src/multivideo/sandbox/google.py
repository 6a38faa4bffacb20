"""Google's door: Veo on Vertex AI (`/vertex/v1/...`), its token endpoint and its buckets."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping

from attrs import define, field
from python_multipart.multipart import parse_options_header

from multivideo.sandbox.faults import Fault, deliver
from multivideo.sandbox.fields import load_object
from multivideo.sandbox.google_order import MODELS, BadArgument, read_order
from multivideo.sandbox.google_token import TokenDesk
from multivideo.sandbox.jobs import Job, JobStore, State
from multivideo.sandbox.render import Clip
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
_FILTERED = (
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


def _error(status: int, message: str, details: list[object] | None = None) -> Refused:
    error: dict[str, object] = {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}
    return Refused(json_reply(status, {"error": error | ({"details": details} if details else {})}))


def _fault_reply(fault: Fault) -> Reply:
    """What Google answers with an injected status."""
    status = int(fault.value)
    if status == 429:
        metric = "aiplatform.googleapis.com/long_running_online_prediction_requests_per_base_model"
        return _error(status, f"Quota exceeded for {metric} with base model: veo-3.1-generate-001.").reply
    return _error(status, "The service is currently unavailable." if status == 503 else "Internal error.").reply


@define(eq=False)
class VertexDoor:
    """Start, poll, tokens and buckets."""

    _store: JobStore
    _desk: TokenDesk = field(init=False)
    # Objects by gs:// address: pictures that were uploaded, and clips that are results.
    _uploads: dict[str, bytes] = field(factory=dict)
    _results: dict[str, tuple[Job, Clip]] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._desk = TokenDesk(self._store)

    async def handle(self, request: Request) -> Reply:
        """Any answer of this door."""
        match request.method, request.segments[1:]:
            case "POST", ("token",):
                return self._desk.grant(request)
            case "POST", (version, "publishers", "google", "models", _) if version in _VERSIONS:
                if not request.headers.get("x-goog-api-key"):
                    self._account(request)
                raise _error(400, "Invalid resource field value in the request.")
        account = self._account(request)
        asked = request.segments[1:]
        if asked[:2] == ("download", "storage"):  # where Google's own storage client fetches
            asked = asked[1:]
        match request.method, asked:
            case "GET", ("storage", "v1", "b", bucket, "o"):
                return self._listing(bucket, request.query.get("prefix", ""))
            case "GET", ("storage", "v1", "b", bucket, "o", *path):
                return await self._object(request, f"gs://{bucket}/{'/'.join(path)}")
            case "POST", ("upload", "storage", "v1", "b", bucket, "o"):
                return self._upload(request, bucket)
            case "POST", (
                version, "projects", project, "locations", region, "publishers", "google", "models", call
            ) if version in _VERSIONS:  # fmt: skip
                model, _, verb = call.partition(":")
                name = f"projects/{project}/locations/{region}/publishers/google/models/{model}"
                if verb == "predictLongRunning":
                    return self._start(request, account, name, region, model)
                if verb == "fetchPredictOperation":
                    return await self._poll(request, name, region, model)
        raise _error(404, f"Method not found: {request.method} /{'/'.join(request.segments[1:])}")

    def _account(self, request: Request) -> str:
        token = request.bearer()
        owner = self._desk.owner(token) if token else None
        if owner is None:
            raise _error(401, _NO_LOGIN)
        return owner

    def _body(self, request: Request) -> Mapping[str, object]:
        try:
            return load_object(request.body)
        except ValueError:
            raise _error(400, "Invalid JSON payload received. Unable to parse the body as a JSON object.") from None

    def _check_model(self, name: str, region: str, model: str) -> None:
        """Veo is served in one region only; elsewhere its models do not exist."""
        if region != _REGION or model not in MODELS:
            raise _error(
                404,
                f"Publisher Model `{name}` was not found or your project does not have access to it. "
                "Please ensure you are using a valid model version.",
            )

    def _start(self, request: Request, account: str, name: str, region: str, model: str) -> Reply:
        body = self._body(request)
        self._check_model(name, region, model)
        try:
            draft = read_order(model, body, self._uploads)
        except BadArgument as bad:
            raise _error(400, str(bad)) from None
        operation = str(uuid.UUID(int=self._store.random.getrandbits(128), version=4))
        full = f"{name}/operations/{operation}"
        self._store.accept(request, _NAME, account, draft, full, _fault_reply)
        return json_reply(200, {"name": full})

    async def _poll(self, request: Request, name: str, region: str, model: str) -> Reply:
        asked = self._body(request).get("operationName")
        self._check_model(name, region, model)
        if not isinstance(asked, str) or not asked:
            raise _error(400, "The operation name is required.")
        if not asked.startswith(f"{name}/operations/"):
            raise _error(400, f"The operation '{asked}' does not belong to the resource '{name}'.")
        job = self._store.get(_NAME, asked)
        if job is None:
            raise _error(404, f"The operation '{asked}' was not found.")
        job.look(_fault_reply)
        if job.hidden:
            raise _error(404, f"The operation '{asked}' was not found.")
        state = job.state(self._store.clock.wall())
        if not state.over:
            return json_reply(200, {"name": asked})
        if state is State.FAILED:
            message = "Veo could not generate videos because the input violates the guidelines. Support codes: 58061214"
            code = 3
            if job.draft.reason != "operation_error":
                code, message = 13, "Video generation failed due to an internal error. Please try again."
            return json_reply(200, {"name": asked, "done": True, "error": {"code": code, "message": message}})
        return await self._done(request, job, state)

    async def _done(self, request: Request, job: Job, state: State) -> Reply:
        """The finished operation: links into a bucket, or the files themselves in Base64."""
        samples = job.request["sampleCount"]
        made = len(job.clips)
        filtered = samples - made if isinstance(samples, int) else 0
        response: dict[str, object] = {"@type": _RESPONSE_TYPE, "raiMediaFilteredCount": filtered}
        if filtered:
            response["raiMediaFilteredReasons"] = [_FILTERED.format(count=filtered)]
        if job.request["storageUri"] is not None:
            response |= {"videos": self._links(job)} if made else {}
        elif made:
            files = [await self._store.pool.fetch(clip) for clip in job.clips]
            encoded = [base64.b64encode(data).decode() for data in files]
            response["videos"] = [{"bytesBase64Encoded": text, "mimeType": "video/mp4"} for text in encoded]
            answer = json.dumps({"name": job.id, "done": True, "response": response}).encode()
            return deliver(request, job.fetch(_fault_reply), answer, "application/json")
        return json_reply(200, {"name": job.id, "done": True, "response": response})

    def _links(self, job: Job) -> list[dict[str, str]]:
        folder = job.names.setdefault("folder", self._store.digits(19))
        base = str(job.request["storageUri"]).rstrip("/")
        links = []
        for place, clip in enumerate(job.clips):
            address = f"{base}/{folder}/sample_{place}.mp4"
            self._results[address] = job, clip
            links.append({"gcsUri": address, "mimeType": "video/mp4"})
        return links

    def _listing(self, bucket: str, prefix: str) -> Reply:
        """The objects of a bucket, by name: results are there once they are made, whether anybody asked or not."""
        now = self._store.clock.wall()
        for job in self._store.all(_NAME):
            if job.request["storageUri"] is not None and job.state(now) is State.DONE:
                self._links(job)
        start = f"gs://{bucket}/"
        names = sorted(
            address.removeprefix(start) for address in (*self._results, *self._uploads) if address.startswith(start)
        )
        items = [
            {"kind": "storage#object", "bucket": bucket, "name": name} for name in names if name.startswith(prefix)
        ]
        return json_reply(200, {"kind": "storage#objects", **({"items": items} if items else {})})

    async def _object(self, request: Request, address: str) -> Reply:
        """An object of a bucket: its bytes with `alt=media`, else what is known of it."""
        bucket, _, name = address.removeprefix("gs://").partition("/")
        job = None
        if address in self._results:
            job, clip = self._results[address]
            data, kind = await self._store.pool.fetch(clip), "video/mp4"
        elif address in self._uploads:
            data, kind = self._uploads[address], "application/octet-stream"
        else:
            raise _error(404, f"No such object: {bucket}/{name}")
        if request.query.get("alt") != "media":
            about = {"kind": "storage#object", "bucket": bucket, "name": name, "contentType": kind}
            return json_reply(200, {**about, "size": str(len(data))})
        hits = job.fetch(_fault_reply) if job else {}
        if "download_late" in hits or (job and job.script.find("expired")):
            raise _error(404, f"No such object: {bucket}/{name}")
        return deliver(request, hits, data, kind)

    def _upload(self, request: Request, bucket: str) -> Reply:
        """Keep a picture, so that a start call can name it by its gs:// address."""
        try:
            name, data = _uploaded(request)
        except ValueError:
            raise _error(400, "An uploadType=media or uploadType=multipart with a name is required.") from None
        self._uploads[f"gs://{bucket}/{name}"] = data
        return json_reply(200, {"kind": "storage#object", "bucket": bucket, "name": name, "size": str(len(data))})


def _uploaded(request: Request) -> tuple[str, bytes]:
    """Name and bytes of an upload; ValueError when there are none. Google's own client sends `multipart/related`."""
    name, data = request.query.get("name"), request.body
    if request.query.get("uploadType") == "multipart":
        boundary = parse_options_header(request.headers.get("content-type"))[1].get(b"boundary", b"")
        _, about, file, _ = data.split(b"--" + boundary)
        name = name or str(load_object(about.partition(b"\r\n\r\n")[2]).get("name", ""))
        data = file.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    elif request.query.get("uploadType") != "media":
        raise ValueError("an upload of another type")
    if not name:
        raise ValueError("no name")
    return name, data
