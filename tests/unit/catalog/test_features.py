"""The generated table of the documentation."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from multivideo.catalog.book import Catalog
from multivideo.catalog.features import feature_table
from multivideo.values.words import Mode

PAGE = Path(__file__).parents[3] / "docs" / "features.md"
CATALOG = Catalog.default()


def rows(text: str, start: str) -> list[dict[str, str]]:
    """The rows of tables that begin with those cells, by the names in their heads."""
    found, head = [], [""]
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| model and path"):
            head = cells
        elif line.startswith(f"| {start}"):
            found.append(dict(zip(head, cells, strict=True)))
    return found


def test_the_page_is_what_the_catalog_says() -> None:
    assert PAGE.read_text("utf-8") == feature_table(CATALOG), "python -m multivideo.catalog.features > docs/features.md"


def test_every_path_says_of_every_mode_whether_it_can_be_asked_for() -> None:
    text = feature_table(CATALOG)
    for path in CATALOG.models():
        modes, *options = rows(text, f"`{path.name}`")
        assert {modes[mode] for mode in Mode} <= {"yes", "refused"}
        assert {row["mode"] for row in options} == {mode for mode in Mode if modes[mode] == "yes"}


def test_cells_say_what_a_request_may_ask() -> None:
    veo = rows(feature_table(CATALOG), "`veo-3.1@vertex` | text")[0]
    assert veo["seconds"] == "4, 6 or 8 s at 720p; 8 s at 1080p and 4k"
    assert veo["resolutions"] == "720p, 1080p or 4k (unverified)"
    assert veo["price of a second"] == "0.20 to 0.60 USD"
    kling = rows(feature_table(CATALOG), "`kling-3.0@kling` | first_frame")[0]
    assert (kling["seed"], kling["negative prompt"], kling["ratios"]) == ("refused", "refused", "that of the picture")
    assert kling["fps"] == "24 at 720p and 1080p; 24 (60 claimed, unconfirmed) at 4k"
    assert kling["price of a second"] == "0.084 to 0.42 USD"


def test_each_path_says_which_invisible_marks_its_files_carry() -> None:
    text = feature_table(CATALOG)
    said = {name: rows(text, f"`{name}`")[0]["provenance"] for name in ("veo-3.1@vertex", "veo-3.1@gemini")}
    assert said == {"veo-3.1@vertex": "SynthID, C2PA", "veo-3.1@gemini": "SynthID"}
    first, *rest = CATALOG.paths
    marked, plain = (evolve(first, provenance=words) for words in ("C2PA", ""))
    for path, cell in ((marked, "C2PA"), (plain, "none stated")):
        changed = feature_table(evolve(CATALOG, paths=(path, *rest)))
        assert rows(changed, f"`{first.name}`")[0]["provenance"] == cell


def test_a_mode_that_comes_or_goes_changes_the_table_by_itself() -> None:
    first, *rest = CATALOG.paths
    less = evolve(first, modes=tuple(facts for facts in first.modes if facts.mode is not Mode.REMIX))
    for path, cell in ((first, "yes"), (less, "refused")):
        modes, *options = rows(feature_table(evolve(CATALOG, paths=(path, *rest))), f"`{first.name}`")
        assert modes["remix"] == cell
        assert ("remix" in {row["mode"] for row in options}) == (cell == "yes")


def test_what_the_clip_decides_is_said_to_be_the_clips() -> None:
    text = feature_table(CATALOG)
    names = ("`sora-2@openai` | remix", "`kling-3.0-omni@kling` | edit", "`kling-3.0@kling` | motion")
    cells = [rows(text, name)[0] for name in names]
    assert [row["seconds"] for row in cells] == ["that of the clip"] * 3
    assert [row["ratios"] for row in cells] == ["that of the clip"] * 2 + ["as the vendor decides"]
    sources = [row["source video"].partition(",")[0] for row in cells]
    assert sources == ["one made here; as long as the clip", "one made here or https", "one made here or https"]


def test_elements_made_from_clips_are_counted_apart_where_they_are_limited_apart() -> None:
    text = feature_table(CATALOG)
    names = ("`kling-3.0@kling` | first_frame", "`kling-3.0-omni@kling` | reference", "`kling-o1@kling` | reference")
    assert [rows(text, name)[0]["references"] for name in names] == [
        "at most 3 elements",
        "at most 7 pictures, 7 elements, 3 of them made from a clip, 7 together",
        "at most 7 pictures, 7 elements made from pictures, 7 together",
    ]
