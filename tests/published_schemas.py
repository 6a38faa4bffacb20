"""The vendors' published descriptions as JSON Schema: which operation a message is, and what is wrong with it.

`published/*.json` holds the descriptions and says where and when each was read; `published/cut.py` cut them out.
Objects whose fields a description lists may have no others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

PUBLISHED = Path(__file__).parent / "published"
Schema = Any  # a JSON Schema, or a part of a description on its way to be one
FILE = {"$file": True}  # stands for the bytes of a file: no text passes for it, and it passes for no text
_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}


@frozen
class Fault:
    """One thing that a description does not allow: in which operation, at which field, and the value found there."""

    operation: str
    side: str
    """"request" or "answer"."""
    place: str
    rule: str
    value: str


@frozen
class Operation:
    """One call of a description. Bodies and answers are schemas by media type."""

    id: str
    method: str
    template: str
    query: Mapping[str, Schema]
    needed: frozenset[str]
    bodies: Mapping[str, Schema]
    answers: Mapping[str, Schema]

    @property
    def pattern(self) -> re.Pattern[str]:
        """What its path looks like; a verb behind a colon is no part of a name."""
        parts = re.split(r"\{[^}]*\}", self.template)
        name = "[^/]+" if ":" in self.template.rpartition("/")[2] else "[^/:]+"
        *early, last = map(re.escape, parts)
        return re.compile("[^/]+".join(early) + (name if early else "") + last)


@frozen
class Description:
    """A vendor's interface, as published."""

    about: Any
    bases: tuple[str, ...]
    operations: tuple[Operation, ...]
    schemas: Mapping[str, Schema] = field(repr=False)
    error: str
    """The schema of an error's body."""

    def find(self, method: str, path: str) -> Operation | None:
        """The operation of a path behind the base; one that is named beats one that any name fits."""
        fitting = [row for row in self.operations if row.method == method and row.pattern.fullmatch(path)]
        return min(fitting, key=lambda row: row.template.count("{"), default=None)

    def request(self, method: str, url: str, body: Any = None, media: str | None = None) -> Iterator[Fault]:
        """What is wrong with a request; `url` is absolute, the body of a form an object of its fields."""
        base = next((base for base in self.bases if url.startswith(base)), None)
        parts = urlsplit(url.removeprefix(base or ""))
        operation = self.find(method, parts.path)
        if base is None or operation is None:
            yield Fault("", "request", "url", "unknown", f"{method} {url}")
            return
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        for name in [*(operation.needed - set(query)), *(set(query) - set(operation.query))]:
            yield Fault(operation.id, "request", f"?{name}", "query", query.get(name, "missing"))
        for name in set(query) & set(operation.query):
            value, schema = query[name], operation.query[name]
            given: Any = int(value) if schema.get("type") == "integer" and value.isdecimal() else value
            yield from self._faults(operation, "request", schema, given, f"?{name}")
        if (body is None) != (not operation.bodies) or (media is not None and media not in operation.bodies):
            yield Fault(operation.id, "request", "body", "media type", str(media))
        elif body is not None:
            yield from self._faults(operation, "request", operation.bodies[str(media)], body)

    def answer(self, operation: Operation, status: int, media: str, data: bytes) -> Iterator[Fault]:
        """What is wrong with an answer; that of an operation that has run is held against its own type, too."""
        error = status >= 400
        allowed = {"application/json": {"$ref": f"#/$defs/{self.error}"}} if error else operation.answers
        if media not in allowed:
            yield Fault(operation.id, "answer", "body", "media type", media)
            return
        body: Any = json.loads(data) if media == "application/json" else FILE
        yield from self._faults(operation, "answer", allowed[media], body)
        if not error and "response" in body:
            yield from self._ended(operation, body["response"])

    def _ended(self, operation: Operation, response: Mapping[str, Any]) -> Iterator[Fault]:
        """The result of a long-running operation, by the type that it says it is of."""
        named = str(response.get("@type", "")).removeprefix("type.googleapis.com/")
        words = re.split(r"[._]", named)
        names = ["".join(word[:1].upper() + word[1:] for word in words), words[-1]]
        schema = next((name for name in names if name in self.schemas), None)
        if schema is None:
            yield Fault(operation.id, "answer", "response.@type", "unknown", named)
            return
        rest = {name: value for name, value in response.items() if name != "@type"}
        yield from self._faults(operation, "answer", {"$ref": f"#/$defs/{schema}"}, rest, "response")

    def _faults(self, operation: Operation, side: str, schema: Schema, value: Any, start: str = "") -> Iterator[Fault]:
        validator = Draft202012Validator({**schema, "$defs": self.schemas})
        for error in validator.iter_errors(value):
            steps = [start, *(step for step in error.absolute_path if isinstance(step, str))]
            place = ".".join(step for step in steps if step)
            for inner, what in _blamed(error):
                full = ".".join(part for part in (place, inner) if part)
                yield Fault(operation.id, side, full, str(error.validator), what)


def _blamed(error: ValidationError) -> Iterator[tuple[str, str]]:
    """The fields that an error is about, below the object that it was found in, each with what stands there."""
    found: Any = error.instance
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        yield from ((name, str(found[name])) for name in sorted(set(found) - set(schema["properties"])))
    elif error.validator == "required":
        yield from ((name, "missing") for name in schema["required"] if name not in found)
    else:
        yield "", str(found)


def closed(schema: Schema) -> Schema:
    """The same with every object whose fields are listed closed to all others, and references inside the document."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "binary":
        return {"const": FILE}
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(name := found.get("$ref"), str):
        found["$ref"] = f"#/$defs/{name.rpartition('/')[2]}"
    if "properties" in found and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def from_discovery(schema: Schema, *, names: bool = False) -> Schema:
    """A schema of a Google discovery document as JSON Schema; `names`: its keys are names of fields.

    "any" says nothing, 32 bits are a range, and bounds are written as text there.
    """
    if isinstance(schema, list):
        return [from_discovery(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: from_discovery(value, names=key == "properties") for key, value in schema.items()}
    if names:
        return found
    if found.get("type") == "any":
        del found["type"]
    if found.get("format") == "int32":
        found = {**_INT32, **found}
    found |= {bound: int(found[bound]) for bound in ("minimum", "maximum") if bound in found}
    if not isinstance(found.get("required"), list):  # a yes or no about a parameter of the path or the query
        found.pop("required", None)
    found.pop("id", None)  # its own name
    return found


def _load(name: str) -> Any:
    return json.loads((PUBLISHED / f"{name}.json").read_text(encoding="utf-8"))


@cache
def openapi(name: str, error: str) -> Description:
    """A cut from an OpenAPI document."""
    whole = _load(name)
    schemas = {key: closed(value) for key, value in whole["components"]["schemas"].items()}
    operations = [
        _openapi_operation(method.upper(), path, row)
        for path, item in whole["paths"].items()
        for method, row in item.items()
    ]
    bases = tuple(server["url"] for server in whole["servers"])
    return Description(whole["about"], bases, tuple(operations), schemas, error)


def _openapi_operation(method: str, path: str, row: Mapping[str, Any]) -> Operation:
    query = {item["name"]: item for item in row.get("parameters", ()) if item["in"] == "query"}
    bodies = row.get("requestBody", {}).get("content", {})
    return Operation(
        id=row["operationId"],
        method=method,
        template=path,
        query={name: closed(item["schema"]) for name, item in query.items()},
        needed=frozenset(name for name, item in query.items() if item.get("required")),
        bodies={media: closed(item["schema"]) for media, item in bodies.items()},
        answers={media: closed(item["schema"]) for media, item in row["responses"]["200"]["content"].items()},
    )


@cache
def discovery(name: str, error: str) -> Description:
    """A cut from a Google discovery document, its untyped places filled by `veo_bodies.json`."""
    whole, more = _load(name), _load("veo_bodies")
    given = {**whole["schemas"], **more["schemas"]}
    for request, fills in more["fills"].items():
        for place, typed in fills.items() if request in given else ():
            filled = {"$ref": typed}
            properties = given[request]["properties"]
            properties[place] = {"type": "array", "items": filled} if "items" in properties[place] else filled
    schemas = {key: closed(from_discovery(value)) for key, value in given.items()}
    operations = [_discovery_operation(row, whole) for row in whole["methods"].values()]
    bases = tuple(base + whole["servicePath"] for base in whole["bases"])
    return Description(whole["about"], bases, tuple(operations), schemas, error)


def _discovery_operation(row: Mapping[str, Any], whole: Mapping[str, Any]) -> Operation:
    own = {name: item for name, item in row["parameters"].items() if item["location"] == "query"}
    files: Sequence[str] = ("video/mp4", "application/octet-stream") if row.get("supportsMediaDownload") else ()
    return Operation(
        id=row["id"],
        method=row["httpMethod"],
        template=row.get("flatPath", row["path"]),
        query={name: from_discovery(item) for name, item in {**whole["parameters"], **own}.items()},
        needed=frozenset(name for name, item in own.items() if item.get("required")),
        bodies={"application/json": closed(from_discovery(row["request"]))} if "request" in row else {},
        answers={"application/json": closed(row["response"]), **{media: {"const": FILE} for media in files}},
    )
