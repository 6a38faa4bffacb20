"""The emulator's own door, `/_emu`: what it did, and what shall go wrong next."""

from __future__ import annotations

from attrs import asdict, define

from multivideo.sandbox.callbacks import Callback, CallbackBook
from multivideo.sandbox.faults import Script
from multivideo.sandbox.fields import is_object, load_object
from multivideo.sandbox.jobs import Job, JobStore
from multivideo.sandbox.switches import Switches
from multivideo.sandbox.wire import Reply, Request, json_reply

__all__ = ["Control"]


@define(eq=False)
class Control:
    """`GET jobs|counts` (`?door=&credential=`), `GET callbacks` (`?door=&job=`), `POST faults|webhooks|switches`."""

    _store: JobStore
    _callbacks: CallbackBook
    _switches: Switches

    async def handle(self, request: Request) -> Reply:
        """JSON answers in no vendor's form."""
        match request.method, request.segments[1:]:
            case "GET", ("jobs",):
                return json_reply(200, {"jobs": [self._show(job) for job in self._asked(request)]})
            case "GET", ("counts",):
                jobs = self._asked(request)
                return json_reply(200, {"count": len(jobs), "charged_micro_usd": sum(job.cost for job in jobs)})
            case "GET", ("callbacks",):
                told = self._callbacks.told(request.query.get("door"), request.query.get("job"))
                return json_reply(200, {"callbacks": [_tell(callback) for callback in told]})
            case "POST", ("faults",):
                return self._queue(request)
            case "POST", ("webhooks",):
                return self._register(request)
            case "POST", ("switches",):
                return self._switch(request)
        return json_reply(404, {"error": "there are GET jobs, counts, callbacks, and POST faults, webhooks, switches"})

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
        """Faults for the next create on a door, or for one job."""
        try:
            asked = load_object(request.body)
            words = asked.get("fault", {})
            script = Script.of(words) if is_object(words) else Script.parse(str(words))
            if (job := asked.get("job")) is not None:
                self._store.fault(str(asked.get("door")), str(job), script)
            else:
                self._store.faults.queue(str(asked.get("door")), script)
        except (ValueError, TypeError) as problem:
            return json_reply(400, {"error": str(problem)})
        return json_reply(200, {"queued": len(script.faults)})

    def _register(self, request: Request) -> Reply:
        """A webhook of OpenAI's door."""
        try:
            asked = load_object(request.body)
            url, secret = asked.get("url"), asked.get("secret")
            if not isinstance(url, str) or not (secret is None or isinstance(secret, str)):
                raise ValueError("url must be a text, and so must secret if there is one")
            self._callbacks.register(url, secret)
        except ValueError as problem:
            return json_reply(400, {"error": str(problem)})
        return json_reply(200, {"registered": url})

    def _switch(self, request: Request) -> Reply:
        """Turn switches; the answer shows all of them."""
        try:
            self._switches.set(load_object(request.body))
        except ValueError as problem:
            return json_reply(400, {"error": str(problem)})
        return json_reply(200, asdict(self._switches))


def _tell(callback: Callback) -> dict[str, object]:
    """A callback in JSON; its body as the text that was signed."""
    return {**asdict(callback), "headers": dict(callback.headers), "body": callback.body.decode()}
