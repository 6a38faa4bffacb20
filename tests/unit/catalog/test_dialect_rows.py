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
        assert facts.prompt_characters == 2500
        assert facts.image is None or facts.image.max_bytes == 10_000_000
        assert (facts.image is None) == (other.image is None)
        assert facts.source.title == "Kling API docs, legacy video pages"


def test_only_the_pages_of_text_and_picture_list_a_negative_prompt() -> None:
    taking = {model for model, row in LEGACY.items() if all(facts.negative_prompt for facts in row.modes)}
    assert taking == {"kling-3.0", "kling-2.6", "kling-2.5-turbo"}
    assert not any(facts.negative_prompt for model in LEGACY.keys() - taking for facts in LEGACY[model].modes)


@pytest.mark.parametrize("rows", [tuple(LEGACY.values()), openai.in_litellm(openai.PATHS)], ids=["legacy", "litellm"])
def test_a_dialect_offers_text_and_a_first_frame_where_its_vendor_does(rows: tuple[ModelPath, ...]) -> None:
    built = {row.model: {facts.mode for facts in row.modes if facts.built} for row in rows}
    assert built.pop("kling-o1", set()) == set()
    assert set(map(frozenset, built.values())) == {frozenset({Mode.TEXT, Mode.FIRST_FRAME})}


def test_what_a_user_changed_in_a_row_stays_changed() -> None:
    changed = evolve(NEW["kling-3.0"], rates=())
    assert kling.in_legacy([changed])[0].rates == ()


def test_litellm_differs_from_openai_in_pictures_by_address_alone() -> None:
    for row, other in zip(openai.in_litellm(openai.PATHS), openai.PATHS, strict=True):
        for facts, before in zip(row.modes, other.modes, strict=True):
            if facts.mode in {Mode.TEXT, Mode.FIRST_FRAME}:
                assert evolve(facts, image=before.image) == before
            if facts.image is not None:
                assert not facts.image.urls
                assert facts.image.source.title == "source of LiteLLM's proxy, version 1.109.1"
