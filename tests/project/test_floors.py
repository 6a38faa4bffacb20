"""Which room may import which: read from the source, imports inside functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from attrs import frozen

SOURCE = Path(__file__).parents[2] / "src" / "multivideo"

# a room imports only from floors below its own, and within itself; the sandbox is a building of its own
FLOORS = {
    "_version": 0, "clock": 0, "errors": 0, "files": 0, "secrets": 0, "shapes": 0,
    "values": 1,
    "arguments": 2, "catalog": 2, "ledger": 2, "wire": 2,
    "routing": 3, "transport": 3,
    "providers": 4,
    "given": 5, "jobs": 5, "webhooks": 5,
    "client": 6, "portal": 6,
    "blocking": 7, "terminal": 7,
    "cli_books": 8,
    "cli": 9,
    "__main__": 10,
}  # fmt: skip
UPWARD_FOR_TYPES = {("errors", "values")}  # an error may carry an amount; nothing of it is imported at run time
DOORS_OF_THE_SANDBOX = {"transport.embedded", "client", "blocking", "cli"}
ONE_HOME = {  # libraries that one module alone knows, so that each can be exchanged there
    "httpx": "transport.http",
    "tenacity": "transport.sender",
    "cattrs": "shapes",
    "google": "transport.google",
    "jwt": "providers.jwt_signer",
    "platformdirs": "client",
    "standardwebhooks": "webhooks",
}
PURE = {"catalog", "providers", "routing", "values", "wire"}
IMPURE = {"anyio", "asyncio", "random", "secrets", "socket", "subprocess", "tempfile", "threading", "time", "uuid"}


@frozen
class Import:
    """One import statement: who, what (dotted, relative ones made absolute), and whether it is for types only."""

    by: str
    what: str
    for_types: bool
    inner: bool

    @property
    def own(self) -> str | None:
        """The module of this package that is meant, None for somebody else's."""
        package, _, module = self.what.partition(".")
        return module if package == "multivideo" else None


def room(module: str) -> str:
    return module.partition(".")[0]


def name_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def targets(file: Path, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    parents = ("multivideo", *file.relative_to(SOURCE).parts[:-1])
    base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
    module = ".".join(part for part in (base, node.module or "") if part)
    for alias in node.names:  # "from .catalog import kling" means the module, "from .clock import Clock" does not
        inner = SOURCE.joinpath(*module.split(".")[1:], f"{alias.name}.py")
        is_module = module.startswith("multivideo") and inner.exists()
        yield f"{module}.{alias.name}" if is_module else module


def imports_of(file: Path) -> Iterator[Import]:
    def walk(node: ast.AST, for_types: bool, inner: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import | ast.ImportFrom):
                for what in targets(file, child):
                    yield Import(name_of(file), what, for_types, inner)
            in_function = inner or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, for_types or is_type_checking(child), in_function)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), False, False)


FILES = sorted(SOURCE.rglob("*.py"))
IMPORTS = [found for file in FILES for found in imports_of(file)]
OURS = [found for found in IMPORTS if room(found.by) not in {"sandbox", "__init__"}]


def test_every_room_has_a_floor() -> None:
    rooms = {room(name_of(file)) for file in FILES} - {"__init__", "sandbox"}
    assert rooms <= set(FLOORS), "a new room needs a line in FLOORS and a word in docs/architecture.md"


def test_imports_go_down() -> None:
    wrong = [
        f"{found.by} imports {found.what}"
        for found in OURS
        if found.own is not None and room(found.own) not in {"sandbox", room(found.by)}
        if FLOORS[room(found.own)] >= FLOORS[room(found.by)]
        if not (found.for_types and (room(found.by), room(found.own)) in UPWARD_FOR_TYPES)
    ]
    assert wrong == []


def test_no_module_needs_itself_to_be_imported() -> None:
    graph: dict[str, set[str]] = {}
    for found in IMPORTS:
        if found.own and not found.for_types and not found.inner and found.own != found.by:
            graph.setdefault(found.by, set()).add(found.own)
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle
    assert order.index("errors") < order.index("client")


def test_the_package_itself_imports_only_its_version() -> None:
    eager = {found.what for found in IMPORTS if found.by == "__init__" and not found.for_types and found.own}
    assert eager == {"multivideo._version"}


def test_the_sandbox_knows_nothing_of_us_but_the_clock() -> None:
    known = {found.own for found in IMPORTS if room(found.by) == "sandbox" and found.own}
    assert {module for module in known if room(module) != "sandbox"} == {"clock"}


def test_only_its_doors_know_the_sandbox() -> None:
    known_by = {found.by for found in OURS if found.own and room(found.own) == "sandbox"}
    assert known_by <= DOORS_OF_THE_SANDBOX
    assert "transport.embedded" in known_by


@pytest.mark.parametrize(("library", "home"), ONE_HOME.items())
def test_one_module_alone_knows_the_library(library: str, home: str) -> None:
    assert {found.by for found in IMPORTS if room(found.what) == library} == {home}


def test_pure_rooms_have_no_clock_no_chance_and_no_wire() -> None:
    wrong = [f"{found.by} imports {found.what}" for found in OURS if room(found.by) in PURE and found.what in IMPURE]
    for file in FILES:
        if room(name_of(file)) in PURE:
            nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            named = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
            wrong += [f"{name_of(file)} reads {name}" for name in named & {"environ", "getenv", "now", "today"}]
    assert wrong == []
