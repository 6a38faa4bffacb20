"""Kling's finished files: signed links on the host that was asked, and what answers behind them.

That a wrong signature answers 403 is assumed.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

from attrs import define, evolve, field

from multivideo.sandbox.addresses import Opened
from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.faults import deliver
from multivideo.sandbox.fields import is_object
from multivideo.sandbox.jobs import Job, State
from multivideo.sandbox.kling_desk import NAME, Desk
from multivideo.sandbox.kling_media import Media
from multivideo.sandbox.wire import Reply, Request

__all__ = ["FileShelf"]

_MARKED = "-watermark"


@define(eq=False)
class FileShelf:
    """All files of the door."""

    _desk: Desk
    _videos: dict[str, Job] = field(factory=dict)

    def video(self, job: Job, origin: str) -> dict[str, object]:
        """Id, links and length of a job's video; a link to a watermarked copy only where one was ordered."""
        name = _id(job)
        self._videos[name] = job
        options = job.request["options"]
        video: dict[str, object] = {"id": name, "url": self._link(origin, job, f"{name}.mp4")}
        if is_object(options) and options["watermark_info"] == {"enabled": True}:
            video["watermark_url"] = self._link(origin, job, f"{name}{_MARKED}.mp4")
        return {**video, "duration": job.request["length"]}

    async def media(self, request: Request, named: object) -> Media:
        """What lies behind the addresses in a part of a create call."""

        def own(url: str) -> Film | None:
            return self._film(url.removeprefix(start)) if url.startswith(start) else None

        start = f"{request.origin}/kling/files/"
        return Media(await Opened.by(named, self._desk.store.clock, but=start), own)

    def _film(self, link: str) -> Film:
        """The video behind a link of ours that still holds; ValueError for any other."""
        parts = urlsplit(link)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        name, until, now = parts.path, query.get("expires", ""), self._desk.store.clock.wall()
        if not hmac.compare_digest(self._sign(name, until), query.get("sign", "").encode("ascii", "replace").decode()):
            raise ValueError("a link that is not signed")
        job = self._job(name)
        if job is None or job.state(now) is not State.DONE or (job.script.find("link_expires") and now >= int(until)):
            raise ValueError("a file that is gone")
        return Film.of(evolve(_clip(job, name), flaws=()))

    def _job(self, name: str) -> Job | None:
        """The job of a file whose link is signed; None: it was thrown away."""
        video = name.removesuffix(".mp4").removesuffix(_MARKED)
        if video not in self._videos:  # another process gave the link
            self._videos |= {_id(job): job for job in self._desk.store.all(NAME)}
        return self._videos.get(video)

    def _link(self, origin: str, job: Job, name: str) -> str:
        until = int(job.expires or 0)
        if early := job.script.find("link_expires"):
            until = int(self._desk.store.clock.wall() + float(early.value))
        return f"{origin}/kling/files/{name}?expires={until}&sign={self._sign(name, until)}"

    def _sign(self, name: str, until: int | str) -> str:
        return hmac.new(self._desk.store.secret, f"{name}.{until}".encode(), hashlib.sha256).hexdigest()

    async def serve(self, request: Request, name: str) -> Reply:
        """A finished file for whoever holds the link. A credential does not belong here and is refused."""
        if "authorization" in request.headers:
            return _page(403, "A signed link takes no Authorization header.")
        until, now = request.query.get("expires", ""), self._desk.store.clock.wall()
        if not hmac.compare_digest(self._sign(name, until).encode(), request.query.get("sign", "").encode()):
            return _page(403, "The signature does not match.")
        job = self._job(name)
        if job is None:
            return _page(404, "The file does not exist.")
        hits = job.fetch(self._desk.fault)
        if job.state(now) is State.EXPIRED or "download_late" in hits:
            return _page(404, "The file does not exist.")
        if job.script.find("link_expires") and now >= int(until):
            return _page(403, "The link has expired.")
        data = await self._desk.store.pool.fetch(_clip(job, name))
        return deliver(request, hits, data, "video/mp4")


def _id(job: Job) -> str:
    return str(job.number("video", 18))


def _clip(job: Job, name: str) -> Clip:
    """The file of a job, with the watermark where that copy is meant."""
    return evolve(job.clips[0], marked=True) if name.endswith(f"{_MARKED}.mp4") else job.clips[0]


def _page(status: int, text: str) -> Reply:
    return Reply.of(status, text.encode(), "text/plain; charset=utf-8")
