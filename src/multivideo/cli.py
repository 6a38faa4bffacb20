"""`multivideo`, the command: parses, calls the library, and says what came of it.

Results go to standard output, progress and errors to standard error. The exit code is 0 only on success, 2 where the
caller has to change something, 130 after Ctrl-C, and 1 otherwise.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from attrs import frozen

from . import cli_books, terminal
from ._version import __version__
from .arguments import day as _day
from .arguments import option as _option
from .arguments import pair as _pair
from .arguments import port as _port
from .arguments import usd as _usd
from .blocking import BlockingJob, Client
from .catalog.book import Catalog
from .client import SANDBOX_LATENCY, AsyncClient
from .errors import InvalidRequest, MultiVideoError, UnsupportedFeature
from .values.events import Event
from .values.request import VideoSpec
from .values.result import Video

__all__ = ["main"]

DEMO_MODELS = ("sora-2@openai", "kling-3.0@kling", "veo-3.1@vertex")
DEMO_PROMPT = "A stormy coastline where waves crash against a rocky shore at sunset"
DEMO_SECONDS = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    as_json = "--json" in words  # also where the rest cannot be parsed
    try:
        args = _parser().parse_args(words)
        code: int = args.run(args)
        sys.stdout.flush()
    except MultiVideoError as error:
        return _told(_Ended(error), as_json=as_json)
    except _Ended as ended:
        return _told(ended, as_json=as_json)
    except KeyboardInterrupt as interrupt:
        return _told(_Ended(interrupt), as_json=as_json)
    except BrokenPipeError:
        _leave_the_pipe()
        return 1
    return code


class _Ended(Exception):
    """A command that came to nothing, and the jobs that vendors have accepted from it nevertheless."""

    def __init__(self, cause: MultiVideoError | KeyboardInterrupt, jobs: Sequence[BlockingJob] = ()) -> None:
        self.cause, self.jobs = cause, jobs


def _told(ended: _Ended, *, as_json: bool) -> int:
    """Say on standard error how it ended; the exit code."""
    error = ended.cause if isinstance(ended.cause, MultiVideoError) else None
    references = [job.ref.to_json() for job in ended.jobs]
    if as_json:
        said = terminal.error_json(error) if error is not None else {"error": "KeyboardInterrupt"}
        lines = [json.dumps({**said, "jobs": [json.loads(reference) for reference in references]})]
    else:
        lines = [f"{type(error).__name__}: {error}" if error is not None else "Interrupted."]
        for job, reference in zip(ended.jobs, references, strict=True):
            lines.append(
                f"Job {job.id} was accepted; client.resume() goes on with it from this reference:\n{reference}"
            )
    sys.stderr.write("\n".join(lines) + "\n")
    return 130 if error is None else 2 if error.fault == "caller" else 1


def _leave_the_pipe() -> None:
    """Nobody reads any more: give the interpreter something else to flush into when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, io.UnsupportedOperation):
        return


def _print(args: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    print(json.dumps(data) if args.json else text)


# The commands


def _demo(args: argparse.Namespace) -> int:
    import anyio

    board = terminal.Board(sys.stderr, expected_s=args.latency, silent=args.json)
    runs = [_DemoRun(name, Path(args.out), board.row(name.partition("@")[0])) for name in DEMO_MODELS]
    outcomes: dict[str, tuple[Video, float] | MultiVideoError] = {}

    async def one(client: AsyncClient, run: _DemoRun) -> None:
        outcomes[run.name] = await run.make(client, args.prompt)

    async def every() -> None:
        async with AsyncClient.sandbox(latency=args.latency) as client, anyio.create_task_group() as tasks:
            _remember(client)
            for run in runs:
                tasks.start_soon(one, client, run)

    anyio.run(every)
    made = [outcome for name in DEMO_MODELS if isinstance(outcome := outcomes[name], tuple)]
    failed = [outcome for name in DEMO_MODELS if isinstance(outcome := outcomes[name], MultiVideoError)]
    if made:
        rows = [{**terminal.video_json(video), "took_s": round(seconds, 2)} for video, seconds in made]
        _print(args, {"videos": rows}, terminal.made_of(made))
    if failed:
        raise failed[0]
    return 0


@frozen
class _DemoRun:
    """One model of the demo, from its plan to its file."""

    name: str
    folder: Path
    row: terminal.Row

    async def make(self, client: AsyncClient, prompt: str) -> tuple[Video, float] | MultiVideoError:
        began = time.monotonic()
        can = client.catalog.durations(self.name, resolution="720p", audio=True)
        wish: VideoSpec = {
            "model": self.name,
            "duration": min(can, key=lambda seconds: abs(seconds - DEMO_SECONDS)),
            "resolution": "720p",
            "audio": True,
            "save_to": self.folder / f"{self.row.name}.mp4",
            "on_event": self.row.on_event,
            "poll_interval": 0.5,  # a demonstration looks more often than a bill would allow
        }
        try:
            video = await client.generate(client.plan(prompt, **wish))
        except MultiVideoError as error:
            self.row.end(f"{type(error).__name__}: {error.what}")
            return error
        self.row.end(terminal.video_text(video))
        return video, time.monotonic() - began


def _generate(args: argparse.Namespace) -> int:
    row, spec = terminal.Board(sys.stderr, silent=args.json).row(), _spec(args)
    mine: set[str] = set()  # the ledger has the open jobs of other commands too

    def on_event(event: Event) -> Any:
        mine.add(event.job_id)
        return row.on_event(event)

    spec["on_event"] = on_event
    with _client(args) as client:
        try:
            video = client.generate(args.prompt, **spec)
        except (MultiVideoError, KeyboardInterrupt) as error:
            raise _Ended(error, [job for job in client.jobs("open") if job.id in mine]) from None
    _print(args, terminal.video_json(video), "\n".join(map(terminal.video_text, video.takes)))
    return 0


def _plan(args: argparse.Namespace) -> int:
    with _client(args) as client:
        plan = client.plan(args.prompt, as_of=args.as_of, **_spec(args))
    _print(args, terminal.plan_json(plan), str(plan))
    return 0


def _models(args: argparse.Namespace) -> int:
    today = dt.datetime.now(dt.UTC).date()
    catalog = Catalog.default().on(today)
    if args.scorecard:
        _print(args, {"scorecard": catalog.scorecard()}, terminal.scorecard_text(catalog))
    elif args.access:
        _print(args, {"access": terminal.access_json(catalog)}, terminal.access_text(catalog))
    else:
        _print(args, {"as_of": str(today), "models": terminal.models_json(catalog)}, terminal.models_text(catalog))
    return 0


def _sandbox(args: argparse.Namespace) -> int:
    try:
        from .sandbox.server import run
    except ImportError as error:
        raise UnsupportedFeature(
            f"The emulator needs {error.name}, which is not installed.",
            hint="pip install 'multivideo[sandbox]'",
            cost="no, nothing was sent",
        ) from None
    return run(
        args.port,
        args.latency,
        args.file_uris,
        args.json,
        post_callbacks=args.post_callbacks,
        webhook_secret=args.webhook_secret,
    )


def _books(args: argparse.Namespace) -> int:
    with _client(args) as client:
        told: cli_books.Told = args.ask(client, args)
    _print(args, told.data, told.text)
    return told.code


def _client(args: argparse.Namespace) -> Client:
    latency = getattr(args, "latency", None)
    if latency is not None and not args.sandbox:
        raise InvalidRequest("--latency is of a pretend job.", hint="--sandbox", cost="no, nothing was sent")
    client = Client.sandbox(latency=SANDBOX_LATENCY if latency is None else latency) if args.sandbox else Client()
    _remember(client._client)
    return client


def _remember(client: AsyncClient) -> None:
    """Let the emulator know the jobs of commands before, as a vendor would: each command is a process of its own."""
    if client.emulator is not None:
        client.emulator.keep_in(client._home_folder() / "emulator.sqlite")


# Parsing


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in the form of every other error."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(
            f"{message[:1].upper()}{message[1:]}.", hint=f"{self.prog} --help", cost="no, nothing was sent"
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="multivideo", description="AI video from Sora 2, Kling 3.0 and Veo 3.1.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"multivideo {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="one JSON object on standard output")
        return added

    demo = command("demo", _demo, "One prompt on all three models, with the emulator: no key, no cost, real files.")
    demo.add_argument("--out", default="demo", metavar="DIR", help="folder of the files (default: %(default)s)")
    demo.add_argument("--prompt", default=DEMO_PROMPT)
    demo.add_argument("--latency", type=float, default=6.0, metavar="SECONDS", help="of each pretend job")
    generate = command("generate", _generate, "Make a video.")
    _add_spec(generate)
    generate.add_argument("--latency", type=float, metavar="SECONDS", help="with --sandbox: of the pretend job")
    plan = command("plan", _plan, "What would run, what it costs, and why. Free: nothing is sent.")
    _add_spec(plan)
    plan.add_argument("--as-of", type=_day, metavar="DATE", help="answer as on that day")
    models = command("models", _models, "Every model on every access path, as of today.")
    views = models.add_mutually_exclusive_group()
    views.add_argument("--access", action="store_true", help="entry cost, billing, set-up and regions")
    views.add_argument("--scorecard", action="store_true", help="stars of the flagships by category")
    _add_books(command)
    sandbox = command("sandbox", _sandbox, "Serve the emulator on a port until Ctrl-C.")
    sandbox.add_argument("--port", type=_port, default=8090, help="0 takes a free one (default: %(default)s)")
    sandbox.add_argument("--latency", type=float, metavar="SECONDS", help="of each job; left out: as the vendors")
    sandbox.add_argument("--file-uris", choices=["upstream", "self"], default="upstream")
    sandbox.add_argument("--post-callbacks", action="store_true", help="really post callbacks, to this machine only")
    sandbox.add_argument("--webhook-secret", metavar="WHSEC", help="sign callbacks with this pretend secret")
    return parser


def _add_books(command: Callable[[str, Any, str], argparse.ArgumentParser]) -> None:
    """The commands about money and open jobs."""
    jobs = command("jobs", _books, "The jobs that are open, of any process, or those that have ended; newest first.")
    cli_books.add_jobs(jobs)
    recover = command("recover", _books, "Finish what an earlier process left open. Nothing is submitted.")
    recover.set_defaults(ask=cli_books.recover)
    recover.add_argument("--deadline", type=float, metavar="SECONDS", help="how long to wait at most")
    account = command("credits", _books, "What is left, held and spent, and the books behind it.")
    cli_books.add_credits(account)
    for parser in (jobs, recover, account):
        parser.add_argument("--sandbox", action="store_true", help="the books of the emulator")


def _add_spec(parser: argparse.ArgumentParser) -> None:
    """The options of a request, as in `VideoSpec`."""
    add = parser.add_argument
    add("prompt", metavar="PROMPT")
    add("--model", help='"auto", a model, a family, or model@path')
    add("--duration", type=float, metavar="SECONDS")
    add("--resolution", help="720p, 1080p, 4k or such as 1920x1080")
    add("--aspect-ratio", help="16:9, 9:16 or 1:1")
    add("--fps", type=int)
    add("--audio", action=argparse.BooleanOptionalAction)
    add("--first-frame", metavar="PICTURE", help="path or URL")
    add("--negative-prompt", metavar="TEXT")
    add("--seed", type=int)
    add("--count", type=int, help="takes of the same wish")
    add("--brief", help="what it is for: brand_film, product, environment, product_audio or social")
    add("--budget", type=_usd, metavar="USD", help="never start what may cost more")
    add("--deadline", type=float, metavar="SECONDS", help="of the whole call")
    add("--tag", type=_pair, action="append", default=[], metavar="NAME=VALUE", dest="tags")
    add("--save-to", metavar="FILE", help="a file or a folder/")
    add("--strict", action="store_true", default=None, help="fail where the file is not what was ordered")
    add("--accept-unconfirmed", action="store_true", default=None, help="go on where no source confirms a need")
    add("--option", type=_option, action="append", default=[], metavar="VENDOR.NAME=JSON", dest="options")
    add("--sandbox", action="store_true", help="with the emulator: no key, no cost")


_PLAIN = (
    *("model", "duration", "resolution", "aspect_ratio", "fps", "audio", "first_frame", "negative_prompt", "seed"),
    *("count", "brief", "budget", "deadline", "save_to", "strict", "accept_unconfirmed"),
)


def _spec(args: argparse.Namespace) -> VideoSpec:
    spec = {name: getattr(args, name) for name in _PLAIN if getattr(args, name) is not None}
    options: dict[str, dict[str, Any]] = {}
    for vendor, name, value in args.options:
        options.setdefault(vendor, {})[name] = value
    return cast(VideoSpec, {**spec, "tags": dict(args.tags), "options": options})
