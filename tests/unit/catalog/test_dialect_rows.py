"""Rows as another dialect of the same vendor has them."""

from __future__ import annotations

import pytest
from attrs import evolve

from multivideo.catalog import kling, openai
from multivideo.catalog.facts import ModelPath
from multivideo.values.words import Mode

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
