"""Google's buckets: pictures and videos that were uploaded, and the results of jobs that were told to go there."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from python_multipart.multipart import parse_options_header

from multivideo.sandbox.clip import Clip, Film
from multivideo.sandbox.faults import Fault, deliver
from multivideo.sandbox.fields import load_object
from multivideo.sandbox.google_veo import film_of_job
from multivideo.sandbox.google_wire import storage_error
from multivideo.sandbox.jobs import Job, JobStore, State
from multivideo.sandbox.wire import Reply, Request, json_reply

__all__ = ["Storage"]


@define(eq=False)
class Storage:
    """All buckets, by gs:// address. A bucket need not be made, and everybody may read and write."""

    _store: JobStore
    _door: str
    _refuse: Callable[[Fault], Reply]
    _uploads: dict[str, bytes] = field(factory=dict)
    _results: dict[str, tuple[Job, Clip]] = field(factory=dict)

    def upload(self, address: str) -> bytes | None:
        """The bytes that somebody put there."""
        return self._uploads.get(address)

    def result(self, address: str) -> Film | None:
        """The video that a job left there."""
        self._settle()
        return film_of_job(*self._results[address]) if address in self._results else None

    def links(self, job: Job) -> list[dict[str, str]]:
        """The results of a finished job as its answer names them."""
        folder = job.number("folder", 19)
        base = str(job.request["storageUri"]).rstrip("/")
        found = []
        for place, clip in enumerate(job.clips):
            address = f"{base}/{folder}/sample_{place}.mp4"
            self._results[address] = job, clip
            found.append({"gcsUri": address, "mimeType": "video/mp4"})
        return found

    def _settle(self) -> None:
        """Results are there once they are made, whether anybody asked for their job or not."""
        now = self._store.clock.wall()
        for job in self._store.all(self._door):
            if job.request["storageUri"] is not None and job.state(now) is State.DONE:
                self.links(job)

    def listing(self, bucket: str, prefix: str) -> Reply:
        """The objects of a bucket whose names start so, by name."""
        self._store.faults.strike(self._door, self._refuse)
        self._settle()
        start = f"gs://{bucket}/"
        names = sorted(
            address.removeprefix(start) for address in (*self._results, *self._uploads) if address.startswith(start)
        )
        items = [
            {"kind": "storage#object", "bucket": bucket, "name": name} for name in names if name.startswith(prefix)
        ]
        return json_reply(200, {"kind": "storage#objects", **({"items": items} if items else {})})

    async def fetch(self, request: Request, address: str) -> Reply:
        """An object of a bucket: its bytes with `alt=media`, else what is known of it."""
        bucket, _, name = address.removeprefix("gs://").partition("/")
        job = None
        if address not in self._results and address not in self._uploads:
            self._settle()  # another process may have been told of it
        if address in self._results:
            job, clip = self._results[address]
            data, kind = await self._store.pool.fetch(clip), "video/mp4"
        elif address in self._uploads:
            data, kind = self._uploads[address], "application/octet-stream"
        else:
            raise storage_error(404, f"No such object: {bucket}/{name}")
        if request.query.get("alt") != "media":
            self._store.faults.strike(self._door, self._refuse)
            about = {"kind": "storage#object", "bucket": bucket, "name": name, "contentType": kind}
            return json_reply(200, {**about, "size": str(len(data))})
        hits = job.fetch(self._refuse) if job else {}
        if "download_late" in hits or (job and job.script.find("expired")):
            raise storage_error(404, f"No such object: {bucket}/{name}")
        return deliver(request, hits, data, kind)

    def keep(self, request: Request, bucket: str) -> Reply:
        """Keep a file, so that a start call can name it by its gs:// address."""
        self._store.faults.strike(self._door, self._refuse)
        try:
            name, data = _uploaded(request)
        except ValueError:
            raise storage_error(400, "An uploadType=media or uploadType=multipart with a name is required.") from None
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
