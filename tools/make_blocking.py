"""Writes the blocking client, `src/multivideo/blocking.py`, from the async one.

    python tools/make_blocking.py            writes it
    python tools/make_blocking.py --check    exits with 1 where the file is not what would be written

Every public method and property of `AsyncClient`, and what a user touches of `Job`, gets a twin with the same
signature and docstring. What waits goes through a `Portal`, which is written by hand. A docstring that would speak of
awaiting stops the tool: its wording for the twin belongs into REWORDED.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "multivideo"
CLIENT, JOB, TARGET = PACKAGE / "client.py", PACKAGE / "jobs" / "job.py", PACKAGE / "blocking.py"
WIDTH = 120

TWINS = {"AsyncClient": "Client", "Job": "BlockingJob", "AsyncIterator": "Iterator"}
RENAMED = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__"}
OF_A_JOB = ("ref", "state", "files", "charge", "status", "wait", "__aiter__", "cancel")
ATTRIBUTES = {"providers": "Who is asked, in the order given."}
BODIES = {
    "__init__": "",  # made from its own signature
    "aclose": "self._portal.close()",
    "__aenter__": "return self",
    "__aexit__": "self.close()",
}
REWORDED = {
    "through one call, on asyncio and trio.": "through one blocking call: in scripts, threads, web apps and notebooks.",
    (
        "Opening it sends nothing and writes nothing. "
        "Use it as `async with`, or call `aclose()`; one client belongs to one\n    event loop."
    ): (
        "Opening it sends nothing, writes nothing and starts nothing. "
        "Use it as `with`, or call `close()`; any number of\n    threads may share it. "
        "Ctrl-C ends the call that waits, not the job at its vendor. "
        "`on_event` is called on a thread\n    of the client's own, from which the client cannot be called."
    ),
}
UNFIT = re.compile(r"\b(await\w*|async|aclose|asyncio|trio|AsyncClient|event loop)\b")

HEAD = '''"""The blocking client.

Generated from client.py and jobs/job.py by tools/make_blocking.py: change those and run it again.
"""

from __future__ import annotations
'''

AROUND = """    @classmethod
    def _around(cls, client: AsyncClient) -> Self:
        self = cls.__new__(cls)
        self._client, self._portal = client, Portal(client.aclose)
        return self
"""

TAIL = '''T = TypeVar("T")


def _call(portal: Portal, work: Callable[[], Awaitable[T]]) -> T:
    """What the work gives; a job that comes with an error can be waited for as any other here."""
    try:
        return portal.call(work)
    except StillRunning as error:
        if isinstance(error.job, Job):
            error.job = BlockingJob(portal, error.job)
        raise
'''


class Source:
    """One parsed file of the package."""

    def __init__(self, path: Path) -> None:
        """Read it."""
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)
        self.module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)

    def said(self, node: ast.AST) -> str:
        """A piece of it, as written, with the names of the twins."""
        text = ast.get_source_segment(self.text, node) or ""
        return re.sub(r"\b(AsyncClient|AsyncIterator|Job)\b", lambda found: TWINS[found[0]], text)

    def cls(self, name: str) -> ast.ClassDef:
        """A class of it."""
        return next(node for node in self.tree.body if isinstance(node, ast.ClassDef) and node.name == name)

    def docstring(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        """The docstring as written, fit for the twin; empty if there is none."""
        first = node.body[0]
        if ast.get_docstring(node) is None:
            return ""
        text = ast.get_source_segment(self.text, first) or ""
        for old, new in REWORDED.items():
            text = text.replace(old, new)
        if found := UNFIT.search(text):
            raise SystemExit(f'the docstring of {node.name} says "{found[0]}": add its wording to REWORDED')
        return text

    def imports(self) -> Iterator[tuple[str, str, bool]]:
        """Every name that it imports or defines: the name, the statement that imports it, and whether it runs."""
        for node in self.tree.body:
            if isinstance(node, ast.If):  # TYPE_CHECKING
                yield from ((*found, False) for inner in node.body for found in self._imported(inner))
            else:
                yield from ((*found, True) for found in self._imported(node))

    def _imported(self, node: ast.stmt) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.Import):
            yield from (
                (a.asname or a.name, f"import {a.name}" + f" as {a.asname}" * bool(a.asname)) for a in node.names
            )
        elif isinstance(node, ast.ImportFrom):
            base = "" if not node.level else "." + ".".join(self.module.split(".")[: -node.level])
            module = base.rstrip(".") + ("." if node.level else "") + (node.module or "")
            yield from ((alias.name, f"from {module} import") for alias in node.names)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, f"from .{self.module} import"


Function = ast.FunctionDef | ast.AsyncFunctionDef


class Twin:
    """Writes the class that stands beside one of a source."""

    def __init__(self, source: Source, name: str, inner: str) -> None:
        """`inner` is the attribute that holds the async original."""
        self.source, self.inner = source, inner
        self.node = source.cls(name)

    def functions(self, names: Sequence[str] | None = None) -> Iterator[Function]:
        """Its public functions, in their order; only these if named."""
        for node in self.node.body:
            if isinstance(node, Function):
                public = not node.name.startswith("_") or node.name in BODIES or node.name == "__repr__"
                if (public and names is None) or (names is not None and node.name in names):
                    yield node

    def write(self, node: Function) -> str:
        """The twin of one function, with its decorators."""
        if node.name == "__repr__":
            return f"    {self.source.said(node)}\n"
        doc = self.source.docstring(node)
        returns = self.source.said(node.returns) if node.returns else ""
        lines = [f"    @{self.source.said(decorator)}\n" for decorator in node.decorator_list]
        name = RENAMED.get(node.name, node.name)
        lines.append(laid_out(f"    def {name}(", self.parameters(node.args), f") -> {returns}:"))
        lines += [f"        {doc}\n"] if doc else []
        lines.append(self.body(node, returns))
        return "".join(lines)

    def parameters(self, args: ast.arguments) -> list[str]:
        """Parameters as written, with annotations and defaults."""
        gaps = [None] * (len(args.args) - len(args.defaults))
        written = [self._parameter(arg, value) for arg, value in zip(args.args, [*gaps, *args.defaults], strict=True)]
        if args.kwonlyargs:
            written.append("*")
        pairs = zip(args.kwonlyargs, args.kw_defaults, strict=True)
        written += [self._parameter(arg, value) for arg, value in pairs]
        return written + ([f"**{self._parameter(args.kwarg, None)}"] if args.kwarg else [])

    def _parameter(self, arg: ast.arg, default: ast.expr | None) -> str:
        if arg.annotation is None:
            return arg.arg
        said = f"{arg.arg}: {self.source.said(arg.annotation)}"
        return said if default is None else f"{said} = {self.source.said(default)}"

    def body(self, node: Function, returns: str) -> str:
        """What the twin does: ask the original, on its loop where that waits."""
        if node.name == "__init__":
            made = laid_out("        self._client = AsyncClient(", passed(node.args), ")")
            return f"{made}        self._portal = Portal(self._client.aclose)\n"
        if node.name in BODIES:
            return f"        {BODIES[node.name]}\n"
        decorators = {self.source.said(decorator) for decorator in node.decorator_list}
        if "classmethod" in decorators:
            made = laid_out(f"        client = AsyncClient.{node.name}(", passed(node.args), ")")
            return f"{made}        return cls._around(client)\n"
        asked = f"self.{self.inner}.{node.name}"
        if "property" not in decorators:
            asked += f"({', '.join(passed(node.args))})"
        if returns.startswith("Iterator["):
            return f"        return self._portal.iterate(lambda: {asked})\n"
        if isinstance(node, ast.AsyncFunctionDef):
            asked = f"_call(self._portal, lambda: {asked})"
        return f"        {'' if returns == 'None' else 'return '}{wrapped(asked, returns)}\n"


def passed(args: ast.arguments) -> list[str]:
    """The same parameters, handed on."""
    handed = [arg.arg for arg in args.args[1:]] + [f"{arg.arg}={arg.arg}" for arg in args.kwonlyargs]
    return handed + ([f"**{args.kwarg.arg}"] if args.kwarg else [])


def wrapped(asked: str, returns: str) -> str:
    """A job as the twin of a job."""
    if returns == "BlockingJob":
        return f"BlockingJob(self._portal, {asked})"
    if returns == "tuple[BlockingJob, ...]":
        return f"tuple(BlockingJob(self._portal, job) for job in {asked})"
    if "BlockingJob" in returns:
        raise SystemExit(f"how to wrap {returns} is not known: teach it to wrapped()")
    return asked


def laid_out(head: str, items: Sequence[str], tail: str) -> str:
    """A bracket as ruff lays it out: on one line, on one of its own, or one item a line."""
    indent = " " * (len(head) - len(head.lstrip()))
    together = ", ".join(items)
    if len(head + together + tail) <= WIDTH:
        return f"{head}{together}{tail}\n"
    if len(indent) + 4 + len(together) <= WIDTH:
        return f"{head}\n{indent}    {together}\n{indent}{tail}\n"
    rows = "".join(f"{indent}    {item}{'' if item.startswith('**') else ','}\n" for item in items)
    return f"{head}\n{rows}{indent}{tail}\n"


def attributes(init: Function) -> Iterator[str]:
    """What the original sets as a public attribute: a property here."""
    for node in ast.walk(init):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute) and node.target.attr[0] != "_":
            name, kind = node.target.attr, ast.unparse(node.annotation)
            doc = f'        """{ATTRIBUTES[name]}"""\n'
            yield f"    @property\n    def {name}(self) -> {kind}:\n{doc}        return self._client.{name}\n"


def client_class(source: Source) -> str:
    """The class `Client`."""
    twin = Twin(source, "AsyncClient", "_client")
    functions = list(twin.functions())
    [init] = [node for node in functions if node.name == "__init__"]
    written = {node.name: twin.write(node) for node in functions}
    rest = [text for name, text in written.items() if name != "__init__" and name != "sandbox"]
    pieces = [written["__init__"], written["sandbox"], AROUND, *attributes(init), *rest]
    return f"class Client:\n    {source.docstring(twin.node)}\n\n" + "\n".join(pieces)


def job_class(source: Source) -> str:
    """The class `BlockingJob`."""
    twin = Twin(source, "Job", "_job")
    of_id = '    @property\n    def id(self) -> str:\n        """Our name of the job."""\n        return self._job.id\n'
    fields = "    _portal: Portal = field(repr=False, eq=False)\n    _job: Job\n"
    pieces = [fields, of_id, *(twin.write(node) for node in twin.functions(OF_A_JOB))]
    return f"@frozen\nclass BlockingJob:\n    {source.docstring(twin.node)}\n\n" + "\n".join(pieces)


def imports(body: str, sources: Sequence[Source]) -> str:
    """The import statements that a body needs, as ruff sorts them."""
    known = {
        "AsyncClient": ("from .client import", True),
        "Job": ("from .jobs.job import", True),
        "Portal": ("from .portal import", True),
        "StillRunning": ("from .errors import", True),
        **dict.fromkeys(("Awaitable", "Callable", "Iterator"), ("from collections.abc import", True)),
        **dict.fromkeys(("field", "frozen"), ("from attrs import", True)),
        **dict.fromkeys(("TYPE_CHECKING", "TypeVar"), ("from typing import", True)),
    }
    for source in sources:
        for name, statement, runs in source.imports():
            known.setdefault(name, (statement, runs))
    tree = ast.parse(body)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {"TYPE_CHECKING"}
    own = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    wanted = sorted((used & known.keys()) - own - set(dir(builtins)))
    running = [(known[name][0], name) for name in wanted if known[name][1]]
    typing_only = [(known[name][0], name) for name in wanted if not known[name][1]]
    block = "".join(f"    {line}\n" for line in statements(typing_only))
    sections: tuple[list[str], ...] = ([], [], [])
    for line in statements(running):
        module = line.split()[1]
        sections[2 if module.startswith(".") else 1 if module == "attrs" else 0].append(f"{line}\n")
    return "\n".join(map("".join, sections)) + f"\nif TYPE_CHECKING:\n{block}"


def statements(names: Iterable[tuple[str, str]]) -> list[str]:
    """Import statements, each module once: plain imports first, constants before classes before the rest."""
    modules: dict[str, list[str]] = {}
    for statement, name in names:
        modules.setdefault(statement, []).append(name)

    def order(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    lines = []
    for statement in sorted(modules, key=lambda text: (text.startswith("from"), text.split()[1])):
        plain = not statement.endswith(" import")
        lines.append(statement if plain else f"{statement} {', '.join(sorted(modules[statement], key=order))}")
    return lines


def written() -> str:
    """The whole file."""
    client, job = Source(CLIENT), Source(JOB)
    if stale := [old for old in REWORDED if old not in client.text + job.text]:
        raise SystemExit(f"REWORDED has what no docstring says any more: {stale[0]}")
    body = "\n\n".join([client_class(client), job_class(job), TAIL])
    names = '__all__ = ["BlockingJob", "Client"]\n'
    text = f"{HEAD}\n{imports(body, [client, job])}\n{names}\n\n{body}"
    if long := next((line for line in text.splitlines() if len(line) > WIDTH), None):
        raise SystemExit(f"too long a line, teach me to break it: {long}")
    return text


def main(arguments: Sequence[str]) -> int:
    """Write or check; the exit code."""
    options = [word for word in arguments if word.startswith("--")]
    targets = [Path(word) for word in arguments if not word.startswith("--")] or [TARGET]
    text = written()
    if options != ["--check"]:
        targets[0].write_text(text, encoding="utf-8")
        return 0
    if targets[0].is_file() and targets[0].read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{targets[0]} is not what client.py and job.py ask for: run python tools/make_blocking.py\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
