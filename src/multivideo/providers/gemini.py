"""Veo on the Gemini API: a long-running prediction that is looked at by its name, its file behind the same key.

Sources: Google's guide to video on the Gemini API (copies of 2025-10 and 2026-09-17), the wire of google-genai 2.34.0,
and what adapters recorded up to 2026-10-04. Google shut Veo down here on 2026-10-22; gateways go on speaking it. The
protocol has no list, no progress, no price and no way to stop a job.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from attrs import evolve, frozen

from ..errors import MultiVideoError
from ..shapes import Loose, Unreadable
from ..values.clips import Clip
from ..values.media import Media
from ..values.refs import VendorRef
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

__all__ = ["GeminiBackend"]

_GOOGLE = "https://generativelanguage.googleapis.com"
_HINTS = {403: "a job and its file belong to the project of the key that made them; the key may lack the permission"}
_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_OPERATION = re.compile(rf"(?:models/{_SEGMENT}/)?operations/{_SEGMENT}")
_FILE = re.compile(r"(?:.*/)?files/([a-z0-9]+)(?::download)?")
_KNOWN_MODEL = "veo-3.1-generate-preview"
_ALWAYS = {"sampleCount": 1, "generateAudio": True}  # one video, with sound: the second is refused where it is said


@frozen
class _Started:
    name: str


@frozen
class _Place:
    uri: str


@frozen
class _Take:
    video: _Place


@frozen
class _Made:
    generatedSamples: list[Any] | None = None  # noqa: N815 - Google's spelling
    raiMediaFilteredCount: Loose[int] = None  # noqa: N815
    raiMediaFilteredReasons: Loose[list[str]] = None  # noqa: N815


@frozen
class _Response:
    generateVideoResponse: _Made | None = None  # noqa: N815


@frozen
class _Operation:
    done: bool | None = None
    error: Failure | None = None
    response: _Response | None = None


@frozen
class GeminiBackend:
    """Describes the messages of one address that speaks the protocol."""

    name: str
    base_url: str = _GOOGLE
    family = "veo-gemini"
    rules = RULES
    looks_up_by_id = False

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the key may go: the results lie behind it at the same address."""
        return (origin_of(self.base_url),)

    def submit(self, order: Order) -> Step[VendorRef]:
        """Start one video. Sound is always on, and a switch for it would be refused; so would several takes."""
        check_order(order, self.name, modes=MODES, takes=frozenset({"negative_prompt", "seed"}))
        segment = order.segment
        parameters: dict[str, Any] = {
            **_ALWAYS,
            "aspectRatio": segment.aspect_ratio,
            "durationSeconds": segment.seconds,
            "resolution": segment.resolution,
        }
        instance = instance_of(order, self._picture, self._clip)
        body = start_body(order, instance, parameters, self.name, unsent=frozenset(_ALWAYS))
        url = f"{self.base_url}/v1beta/models/{quote(order.wire_model, safe='')}:predictLongRunning"
        request = WireRequest("POST", url, json=body, resend=Resend.IF_UNSENT)
        reader = accepting(order, self.name, self.family, self._judged, lambda r: job_id(read_body(_Started, r).name))
        return Step.of(Exchange(request, reader))

    def _picture(self, field: str, image: Media) -> dict[str, str]:
        if image.url is not None:
            raise cannot_take(field, "an address", "a file or bytes", self.name)
        return picture_object(image, self.name)

    def _clip(self, source: Clip) -> dict[str, str]:
        """The file of an earlier job, by the address that the service gave it: no other video is taken, nor bytes.

        The key "encoding" for its type is Google's (google-genai 2.34.0).
        """
        handle = source.handle
        if handle is None or handle.ref.provider != self.name or handle.url is None:
            allowed = f"a Video that {self.name} made within the last two days"
            raise cannot_take("source_video", "a video of another origin", allowed, self.name)
        return {"uri": handle.url, "encoding": "video/mp4"}

    def poll(self, ref: VendorRef) -> Exchange[JobStatus]:
        """Look at one operation."""
        name = ref.remote_id
        if not _OPERATION.fullmatch(name):  # it goes into an address, so that nothing else does as it is
            model, name = (quote(part, safe="", errors="replace") for part in (ref.wire_model, name))
            name = f"models/{model}/operations/{name}"
        look = reading(self.name, self._judged, lambda response: self._status(ref.remote_id, response))

        def operation(response: WireResponse) -> JobStatus:
            judged = self._judged(response)
            if judged is not None and judged.said.own and response.status == 404:
                return JobStatus(ref.remote_id, JobState.MISSING, word_of(judged.said.code))
            return look(response)

        return Exchange(WireRequest("GET", f"{self.base_url}/v1beta/{name}"), operation)

    def _status(self, remote_id: str, response: WireResponse) -> JobStatus:
        operation, raw = read_body(_Operation, response), response.json()
        if not operation.done:  # left out while it runs
            return JobStatus(remote_id, JobState.RUNNING, "", raw=raw)
        made = (operation.response or _Response()).generateVideoResponse or _Made()
        ending = Ending(self.name, remote_id, raw, "the same may pass when it is asked again")
        if (failure := operation.error) is not None and (failure != Failure() or not made.generatedSamples):
            return ending.failed(failure)
        assets = self._assets(made.generatedSamples or [])
        return ending.made(assets, made.raiMediaFilteredCount or 0, made.raiMediaFilteredReasons or [])

    def _assets(self, takes: Sequence[Any]) -> tuple[Asset, ...]:
        """The takes in order, one without an address hides no other.

        Raises: Unreadable if there are takes and none of them has an address.
        """
        places = [self._asset(take.video.uri) for take, _ in readable(_Take, takes)]
        assets = [asset for asset in places if asset is not None]
        if takes and not assets:
            raise Unreadable("no video with an address @ $.response.generateVideoResponse.generatedSamples[]")
        return tuple(dict.fromkeys(assets))[:MOST_TAKES]

    def _asset(self, uri: str) -> Asset | None:
        """A take by the address that the service gave it, by which it is extended too."""
        try:
            own, parts = self._file(uri) is not None, urlsplit(uri)
        except ValueError:
            return None
        return Asset(uri, signed=own) if own or parts.netloc else None

    def _file(self, uri: str) -> str | None:
        """Where a file of the protocol is fetched: at our own address, whoever's it names. None: it is no such file."""
        parts = urlsplit(uri)
        at_home = not parts.netloc or origin_of(uri) in {*self.origins, origin_of(_GOOGLE)}
        file = _FILE.fullmatch(parts.path) if at_home else None
        return None if file is None else f"{self.base_url}/v1beta/files/{file[1]}:download?alt=media"

    def download(self, asset: Asset) -> WireRequest:
        """Fetch a finished file: one of the protocol at our own address, with the key; any other as it is, without."""
        own = self._file(asset.url) if asset.signed and asset.url is not None else None
        return fetch(asset if own is None else evolve(asset, url=own), self.origins)

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
        """None: operations are not listed."""
        return

    def look_up(self, lost: LookUp) -> None:
        """None: nothing is listed, and no id of ours goes along."""
        return

    def probe(self) -> Exchange[None]:
        """Whether the key works and Veo is served: the description of its flagship."""
        request = WireRequest("GET", f"{self.base_url}/v1beta/models/{_KNOWN_MODEL}")
        return Exchange(request, reading(self.name, self._judged, lambda _: None))

    def cancel(self, ref: VendorRef) -> None:
        """None: no such call is documented; the job runs on and is charged."""
        return

    def extend(self, order: Order) -> Step[VendorRef]:
        """Seven seconds more behind a video that was made here; both come back as one file."""
        return self.submit(order)

    def edit(self, order: Order) -> None:
        """None: no such mode exists."""
        return

    def charge(self, status: JobStatus) -> Charge | None:
        """None: Google says nowhere in the protocol what a job cost."""
        return status.charge

    def character(self, name: str, clip: Clip, wire_model: str) -> None:
        """None: Google keeps nobody; pictures go along with each order."""
        return
