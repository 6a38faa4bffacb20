"""Rows as another dialect of the same vendor has them."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from multivideo.catalog import kling, openai
from multivideo.catalog.check import fit
from multivideo.catalog.facts import ModelPath
from multivideo.files.sniff import ImageFacts
from multivideo.values.media import Media
from multivideo.values.request import VideoRequest
from multivideo.values.words import Element, Mode, Shot

LEGACY = {row.model: row for row in kling.in_legacy(kling.PATHS)}
NEW = {row.model: row for row in kling.PATHS}


def test_every_model_but_turbo_has_a_legacy_id_that_the_current_row_knows_by_name() -> None:
    assert set(NEW) - set(LEGACY) == {"kling-3.0-turbo"}
    for model, row in LEGACY.items():
        assert NEW[model].other_names == (row.wire_model,)
        assert row.other_names == (NEW[model].wire_model,)


@pytest.mark.parametrize("model", LEGACY)
def test_the_legacy_protocol_has_smaller_limits_and_the_same_offers_and_prices(model: str) -> None:
    row, new = LEGACY[model], NEW[model]
    assert (row.rates, row.lifecycle, row.failures, row.name) == (new.rates, new.lifecycle, new.failures, new.name)
    for facts, other in zip(row.modes, new.modes, strict=True):
        assert (facts.mode, facts.formats) == (other.mode, other.formats)
        assert facts.prompt_characters == (2468 if facts.mode is Mode.EXTEND else 2500)  # 32 are words of ours
        assert facts.image is None or facts.image.max_bytes == 10_000_000
        assert (facts.image is None) == (other.image is None)
        assert facts.source.title == "Kling API docs, legacy video pages"


def test_only_the_pages_of_text_and_picture_list_a_negative_prompt() -> None:
    paged = {Mode.TEXT, Mode.SHOTS, Mode.FIRST_FRAME, Mode.FIRST_LAST}
    for model, row in LEGACY.items():
        listed = paged if model in {"kling-3.0", "kling-2.6", "kling-2.5-turbo"} else set()
        assert {facts.mode for facts in row.modes if facts.negative_prompt} == listed & {f.mode for f in row.modes}


@pytest.mark.parametrize("rows", [tuple(LEGACY.values()), openai.in_litellm(openai.PATHS)], ids=["legacy", "litellm"])
def test_a_dialect_offers_every_mode_of_its_vendor(rows: tuple[ModelPath, ...]) -> None:
    vendor = {row.model: {facts.mode for facts in row.modes} for row in (*kling.PATHS, *openai.PATHS)}
    assert all({facts.mode for facts in row.modes} == vendor[row.model] for row in rows)


def test_what_a_user_changed_in_a_row_stays_changed() -> None:
    changed = evolve(NEW["kling-3.0"], rates=())
    assert kling.in_legacy([changed])[0].rates == ()


def test_litellm_differs_from_openai_in_what_may_be_brought_along_alone() -> None:
    for row, other in zip(openai.in_litellm(openai.PATHS), openai.PATHS, strict=True):
        for facts in row.modes:
            before = other.mode(facts.mode)
            assert before is not None
            assert evolve(facts, image=before.image, clip=before.clip, references=before.references) == before
            assert facts.image is None or not facts.image.urls
            assert facts.clip is None or not facts.clip.files
            for rule in (facts.image, facts.clip):
                assert rule is None or rule.source.title == "source of LiteLLM's proxy, version 1.109.1"


def refused(name: str, prompt: str, rows: dict[str, ModelPath] = LEGACY, **spec: Any) -> dict[str, str]:
    return {why.field: why.allowed for why in fit(VideoRequest(prompt, **spec), rows[name]).refusals}


MARA = Element("829836802793406551", "Mara")


def test_legacy_limits_count_a_mention_as_it_travels() -> None:
    words = "@Mara " * 200  # "<<<element_1>>>" is 10 characters longer
    assert refused("kling-3.0-omni", words, reference_images=[MARA]) == {"prompt": "at most 2500 characters"}
    assert refused("kling-3.0-omni", words, NEW, reference_images=[MARA]) == {}
    assert refused("kling-3.0-omni", "@Mara " * 156, reference_images=[MARA]) == {}
    shots = [Shot("@Mara " * 40, 3)]
    assert set(refused("kling-3.0-omni", "a fox", reference_images=[MARA], shots=shots)) == {"shots"}
    assert refused("kling-3.0-omni", "a fox", NEW, reference_images=[MARA], shots=shots) == {}


def test_in_a_motion_a_mention_of_a_picture_is_plain_text_and_counts_as_that() -> None:
    picture = Media(data=b"", facts=ImageFacts("png", 1280, 720), size_bytes=1000)
    clip: Any = {"source_video": "https://media.example.org/a.mp4", "mode": "motion", "duration": 5}
    for words, fits in (("@image_1 " * 277, True), ("@Mara " * 277, False)):
        found = refused("kling-3.0", words, reference_images=[picture, MARA], **clip)
        assert (found == {}) is fits


def test_legacy_shots_share_no_limit_and_may_hold_any_sign() -> None:
    shots = [Shot("x" * 500, 2) for _ in range(6)]
    assert refused("kling-3.0", "y", shots=shots) == {}
    assert refused("kling-3.0", "y", NEW, shots=shots) == {
        "shots": "at most 3072 in all, the prompt repeated in each shot"
    }
    assert set(refused("kling-3.0", "y", shots=[Shot("x" * 511, 5)])) == {"shots"}
    assert refused("kling-3.0", "a; b", shots=[Shot("c; d", 5)]) == {}
    assert set(refused("kling-3.0", "a; b", NEW, shots=[Shot("c", 5)])) == {"shots"}


def test_shots_that_travel_as_one_prompt_are_counted_to_the_character() -> None:
    fixed = sum(len(f"shot {n}, 2, y ;") for n in range(1, 7)) + 5  # and the blanks between
    lengths = [497] * 5 + [3072 - fixed - 5 * 497]
    assert refused("kling-3.0", "y", NEW, shots=[Shot("x" * length, 2) for length in lengths]) == {}
    lengths[-1] += 1
    assert set(refused("kling-3.0", "y", NEW, shots=[Shot("x" * length, 2) for length in lengths])) == {"shots"}


def test_an_element_whose_id_is_no_number_is_refused_before_anything_is_read() -> None:
    word = Element("abc", "Mara")
    allowed = {"reference_images": "the digits that kling gave it"}
    assert refused("kling-3.0-omni", "a fox", reference_images=[word]) == allowed
    assert refused("kling-3.0-omni", "a fox", NEW, reference_images=[word]) == {}
    assert refused("kling-3.0-omni", "a fox", reference_images=[MARA]) == {}
