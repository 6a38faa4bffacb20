"""The emulator's own door, `/_emu`: what it did, and what shall go wrong next."""

from __future__ import annotations

from attrs import define

from multivideo.sandbox.faults import Script
from multivideo.sandbox.fields import is_object, load_object
from multivideo.sandbox.jobs import Job, JobStore
from multivideo.sandbox.wire import Reply, Request, json_reply

__all__ = ["Control"]


@define(eq=False)
class Control:
    """`GET jobs`, `GET counts` (both `?door=&credential=`), `POST faults`."""

    _store: JobStore

    async def handle(self, request: Request) -> Reply:
        """JSON answers in no vendor's form."""
        match request.method, request.segments[1:]:
            case "GET", ("jobs",):
                return json_reply(200, {"jobs": [self._show(job) for job in self._asked(request)]})
            case "GET", ("counts",):
                jobs = self._asked(request)
                return json_reply(200, {"count": len(jobs), "charged_micro_usd": sum(job.cost for job in jobs)})
            case "POST", ("faults",):
                return self._queue(request)
        return json_reply(404, {"error": "there are GET jobs, GET counts and POST faults"})

    def _asked(self, request: Request) -> tuple[Job, ...]:
        return self._store.all(request.query.get("door"), request.query.get("credential"))

    def _show(self, job: Job) -> dict[str, object]:
        return {
            "id": job.id,
            "door": job.door,
            "credential": job.credential,
            "model": job.model,
            "state": job.state(self._store.clock.wall()),
            "request": job.request,
            "cost_micro_usd": job.cost,
            "created": job.created,
            "polls": job.polls,
            "downloads": job.downloads,
        }

    def _queue(self, request: Request) -> Reply:
        try:
            asked = load_object(request.body)
            words = asked.get("fault", {})
            script = Script.of(words) if is_object(words) else Script.parse(str(words))
        except (ValueError, TypeError) as problem:
            return json_reply(400, {"error": str(problem)})
        self._store.faults.queue(str(asked.get("door")), script)
        return json_reply(200, {"queued": len(script.faults)})
