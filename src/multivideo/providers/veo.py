"""Veo on Vertex AI: a long-running prediction that is fetched by a POST.

Sources: Google's discovery document (2026-11-06), model card and video guide (read 2026-09-02), and the responsible AI
page with its support codes (read September 2026). The protocol has no list, no progress and no way to stop a job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from attrs import field, frozen

from ..errors import MultiVideoError
from ..shapes import Loose, Unreadable
from ..values.clips import Clip
from ..values.media import Media
from ..values.refs import VendorHandle, VendorRef
from ..wire import (
    Asset,
    Charge,
    Exchange,
    JobState,
    JobStatus,
    LookUp,
    Order,
    Resend,
    Step,
    WireRequest,
    WireResponse,
)
from .common import (
    MOST_TAKES,
    Judged,
    accepting,
    base64_text,
    check_order,
    fetch,
    job_id,
    origin_of,
    read_body,
    readable,
    reading,
    unwelcome,
    word_of,
)
from .google_words import (
    MODES,
    RULES,
    Ending,
    Failure,
    cannot_take,
    instance_of,
    judged_answer,
    picture_object,
    start_body,
)

__all__ = ["VertexBackend"]

_HINTS = {
    401: "the token is no longer valid or of another kind: renew the credentials",
    403: "enable the Vertex AI API; the account needs aiplatform.endpoints.predict, and may have to read the bucket",
}
_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._:-]*"
_OPERATION = re.compile(
    rf"(projects/{_SEGMENT}/locations/{_SEGMENT}/publishers/google/models/{_SEGMENT})/operations/{_SEGMENT}"
)
_OBJECT = re.compile(r"gs://([a-z0-9][a-z0-9._-]+)/(.+)")
_STORAGE_MIME = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg"}


@frozen
class _Started:
    name: str


@frozen
class _Take:
    gcsUri: Loose[str] = None  # noqa: N815
    bytesBase64Encoded: Loose[str] = None  # noqa: N815


@frozen
class _Made:
    videos: list[Any] | None = None
    raiMediaFilteredCount: Loose[int] = None  # noqa: N815
    raiMediaFilteredReasons: Loose[list[str]] = None  # noqa: N815


@frozen
class _Operation:
    done: bool | None = None
    error: Failure | None = None
    response: _Made | None = None


@frozen
class _Object:
    name: str


@frozen
class _Objects:
    items: list[Any] = field(factory=list)


@frozen
class VertexBackend:
    """Describes the messages of Veo in one project and region.

    `output_uri` is a folder "gs://bucket/folder/" that the videos are written to, one folder an attempt; without it
    they come inside the last answer. `storage_url` is where Cloud Storage answers.
    """

    name: str
    base_url: str
    project: str
    location: str
    output_uri: str | None = None
    storage_url: str = "https://storage.googleapis.com/storage/v1"
    family = "veo-vertex"
    rules = RULES
    looks_up_by_id = False

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the token may go: Vertex AI and Cloud Storage."""
        return (origin_of(self.base_url), origin_of(self.storage_url))

    def submit(self, order: Order) -> Step[VendorRef]:
        """Start one call and say all that decides price or picture: `generateAudio` has no documented default."""
        check_order(order, self.name, modes=MODES, takes=frozenset({"negative_prompt", "seed", "count"}))
        segment = order.segment
        parameters: dict[str, Any] = {
            "sampleCount": order.samples,
            "durationSeconds": segment.seconds,
            "resolution": segment.resolution,
            "aspectRatio": segment.aspect_ratio,
            "generateAudio": segment.audio,
        }
        if (folder := self._folder(order.attempt_id)) is not None:
            parameters["storageUri"] = folder
        body = start_body(order, instance_of(order, self._picture, self._clip), parameters, self.name)
        url = f"{self.base_url}/v1/{self._resource(order.wire_model)}:predictLongRunning"
        request = WireRequest("POST", url, json=body, resend=Resend.IF_UNSENT)
        reader = accepting(order, self.name, self.family, self._judged, _operation)
        return Step.of(Exchange(request, reader))

    def _resource(self, model: str) -> str:
        project, location, model = (quote(part, safe=":") for part in (self.project, self.location, model))
        return f"projects/{project}/locations/{location}/publishers/google/models/{model}"

    def _folder(self, attempt_id: str) -> str | None:
        return None if self.output_uri is None else f"{self.output_uri}{attempt_id}/"

    def _clip(self, source: Clip) -> dict[str, str]:
        address = source.media.url or self._kept(source.handle)
        if address is not None and address.startswith("gs://"):
            return {"gcsUri": address, "mimeType": "video/mp4"}
        if source.media.data is None:
            allowed = "a Video, a file, bytes or a gs:// address"
            raise cannot_take("source_video", "a video at an https address", allowed, self.name)
        return {"bytesBase64Encoded": base64_text(source.media.data), "mimeType": "video/mp4"}

    def _kept(self, handle: VendorHandle | None) -> str | None:
        """The gs:// address of a video that was written to a bucket for us: it need not be sent back there."""
        home = f"{self.storage_url}/b/"
        if handle is None or handle.ref.provider != self.name or not (handle.url or "").startswith(home):
            return None
        bucket, _, name = (handle.url or "").removeprefix(home).removesuffix("?alt=media").partition("/o/")
        return f"gs://{bucket}/{unquote(name)}"

    def _picture(self, field: str, image: Media) -> dict[str, str]:
        if image.url is None:
            return picture_object(image, self.name)
        ending = image.url.rpartition(".")[2].lower()
        if not image.url.startswith("gs://"):
            raise cannot_take(field, "an https address", "a gs:// address, a file or bytes", self.name)
        if ending not in _STORAGE_MIME:  # Google wants its type said, and it cannot be looked into from here
            allowed = "a gs:// address that ends in .png, .jpg or .jpeg"
            raise cannot_take(field, "a gs:// address of another kind", allowed, self.name)
        return {"gcsUri": image.url, "mimeType": _STORAGE_MIME[ending]}

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        """Look at one operation. It is a POST that reads: sending it again is harmless and costs nothing."""
        if ref.remote_id.startswith("gs://"):  # found by `look_up`: its operation is not known
            return Exchange(self._listing(ref.remote_id), reading(self.name, self._judged, self._found(ref.remote_id)))
        named = _OPERATION.fullmatch(ref.remote_id)
        resource = named[1] if named else self._resource(ref.wire_model)
        request = WireRequest(
            "POST",
            f"{self.base_url}/v1/{resource}:fetchPredictOperation",
            json={"operationName": ref.remote_id},
            spill=(("response", "videos", "*", "bytesBase64Encoded"),),
        )
        look = reading(self.name, self._judged, lambda response: self._status(ref.remote_id, response))

        def operation(response: WireResponse) -> JobStatus:
            judged = self._judged(response)
            if judged is not None and judged.said.own and response.status == 404:
                return JobStatus(ref.remote_id, JobState.MISSING, word_of(judged.said.code))
            return look(response)

        return Exchange(request, operation)

    def _status(self, remote_id: str, response: WireResponse) -> JobStatus:
        operation, raw = read_body(_Operation, response), response.json()
        if not operation.done:
            return JobStatus(remote_id, JobState.RUNNING, "", raw=raw)
        made, ending = operation.response or _Made(), Ending(self.name, remote_id, raw, "audio=False may pass")
        if (failure := operation.error) is not None and (failure != Failure() or not made.videos):
            return ending.failed(failure)
        assets = self._assets(made.videos or [], response.spilled)
        return ending.made(assets, made.raiMediaFilteredCount or 0, made.raiMediaFilteredReasons or [])

    def _assets(self, takes: Sequence[Any], spilled: Sequence[Path]) -> tuple[Asset, ...]:
        """The takes in order; those that came inside the answer lie in files by now, "" where they stood.

        Raises: Unreadable if there are takes and none of them can be had: one without a place hides no other.
        """
        files, assets = iter(spilled), []
        for take, _ in readable(_Take, takes):
            file = next(files, None) if take.bytesBase64Encoded == "" else None
            asset = self._asset(take.gcsUri) if file is None and take.gcsUri else file and Asset(file=file)
            assets += [asset] if asset else []
        if takes and not assets:
            raise Unreadable("no video with an address or a file @ $.response.videos[]")
        return tuple(dict.fromkeys(assets))[:MOST_TAKES]

    def _asset(self, address: str) -> Asset | None:
        """Where Cloud Storage gives the file, None for what is no address of one."""
        match = _OBJECT.fullmatch(address)
        if match is None:
            return None
        url = f"{self.storage_url}/b/{match[1]}/o/{quote(match[2], safe='', errors='replace')}?alt=media"
        return Asset(url, signed=True)

    def download(self, asset: Asset) -> WireRequest:
        """Fetch a finished file from Cloud Storage, with the same token."""
        return fetch(asset, self.origins)

    def refusal(self, response: WireResponse) -> MultiVideoError | None:
        """The error that an answer is; None: it is a success."""
        judged = self._judged(response)
        return None if judged is None else unwelcome(judged, response, self.name)

    def _judged(self, response: WireResponse) -> Judged | None:
        return judged_answer(response, _HINTS)

    def poll_many(self, refs: Sequence[VendorRef]) -> None:
        """None: operations are looked at one by one."""
        return

    def sweep(self, *, since: float, cursor: str | None = None) -> None:
        """None: operations of publisher models are not listed."""
        return

    def look_up(self, lost: LookUp) -> Exchange[tuple[JobStatus, ...]] | None:
        """The attempt's own folder: a video in it proves that the job was accepted, and is its result.

        None without `output_uri`: Vertex lists no operations and takes no id of ours, so there is nothing to look at.
        An empty folder proves nothing, and takes that are written later are not among those found.
        """
        folder = self._folder(lost.attempt_id)
        if folder is None:
            return None
        found = self._found(folder)

        def statuses(response: WireResponse) -> tuple[JobStatus, ...]:
            status = found(response)
            return (status,) if status.assets else ()

        return Exchange(self._listing(folder), reading(self.name, self._judged, statuses))

    def _listing(self, folder: str) -> WireRequest:
        bucket, _, prefix = folder.removeprefix("gs://").partition("/")
        return WireRequest("GET", f"{self.storage_url}/b/{quote(bucket, safe='')}/o?{urlencode({'prefix': prefix})}")

    def _found(self, folder: str) -> Callable[[WireResponse], JobStatus]:
        bucket = folder.removeprefix("gs://").partition("/")[0]

        def status(response: WireResponse) -> JobStatus:
            objects = read_body(_Objects, response)
            names = sorted(item.name for item, _ in readable(_Object, objects.items) if item.name.endswith(".mp4"))
            found = (self._asset(f"gs://{bucket}/{name}") for name in names)
            assets = tuple(asset for asset in found if asset is not None)[:MOST_TAKES]
            state = JobState.SUCCEEDED if assets else JobState.MISSING
            return JobStatus(folder, state, "listed", assets=assets, may_grow=True, raw=response.json())

        return status

    def probe(self) -> None:
        """None: no free request proves that Veo may be called."""
        return

    def cancel(self, ref: VendorRef) -> None:
        """None: the discovery document has no such method for publisher models; the job runs on and is charged."""
        return

    def extend(self, order: Order) -> Step[VendorRef]:
        """Seven seconds more behind a clip, which goes along as bytes or as its gs:// address."""
        return self.submit(order)

    def edit(self, order: Order) -> None:
        """None: Veo 3.1 extends a clip and does not change it."""
        return

    def charge(self, status: JobStatus) -> Charge | None:
        """None: Google says nowhere in the protocol what a job cost."""
        return status.charge

    def character(self, name: str, clip: Clip, wire_model: str) -> None:
        """None: Google keeps nobody; pictures go along with each order."""
        return


def _operation(response: WireResponse) -> str:
    """The name of a started operation. One that looks like a folder would be asked for as one."""
    name = job_id(read_body(_Started, response).name)
    if name.startswith("gs://"):
        raise Unreadable("an address instead of an operation @ $.name")
    return name
