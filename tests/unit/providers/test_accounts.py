"""The configurations: what they refuse, what they hide, which rows they serve."""

from __future__ import annotations

import datetime as dt
import pickle
from decimal import Decimal
from typing import Any

import anyio
import jwt
import pytest

from multivideo.catalog.book import Catalog, price
from multivideo.catalog.check import fit
from multivideo.catalog.facts import Certainty, ModelSpec
from multivideo.catalog.kling import UNIT
from multivideo.errors import InvalidRequest
from multivideo.providers.accounts import (
    ACCOUNT_KINDS,
    Account,
    BearerToken,
    Kling,
    OpenAIVideos,
    Veo,
    from_environment,
)
from multivideo.providers.dialects import DIALECTS
from multivideo.providers.gemini import GeminiBackend
from multivideo.providers.kling import KlingBackend
from multivideo.providers.kling_legacy import KlingLegacyBackend
from multivideo.providers.openai import OpenAIVideosBackend
from multivideo.providers.veo import VertexBackend
from multivideo.secrets import Secret
from multivideo.values.credits import usd
from multivideo.values.media import Media
from multivideo.values.request import VideoRequest
from multivideo.wire import Order

PATHS = Catalog.default().paths
TODAY = dt.date(2026, 11, 22)
KEY = "not-a-real-key-123"
LONG_KEY = f"{KEY}-of-thirty-two-bytes-or-more"
GATEWAY = "https://gateway.example/v1"
ALL_ACCOUNTS: list[Account] = [
    Kling(api_key=KEY),
    Kling(access_key=KEY, secret_key=KEY),
    Veo(project="demo", credentials=BearerToken(KEY)),
    Veo(api_key=KEY),
    OpenAIVideos(api_key=KEY, base_url=GATEWAY),
]


def headers(account: Account) -> dict[str, str]:
    async def ask() -> dict[str, str]:
        return dict(await account.signer().headers())

    return anyio.run(ask)


def faults(make: Any, **words: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as refused:
        make(**words)
    assert KEY not in str(refused.value)
    return {problem.field: f"{problem.asked} -> {problem.allowed}" for problem in refused.value.problems}


@pytest.mark.parametrize("account", ALL_ACCOUNTS, ids=lambda account: type(account).__name__)
def test_no_account_shows_its_key_or_goes_to_another_process(account: Account) -> None:
    assert KEY not in repr(account)
    assert KEY not in f"{account}"
    with pytest.raises((TypeError, pickle.PicklingError)):
        pickle.dumps(account)


def test_each_account_signs_in_its_vendors_way() -> None:
    assert headers(Kling(api_key=f" {KEY}\n")) == {"Authorization": f"Bearer {KEY}"}
    assert headers(OpenAIVideos(api_key=Secret(KEY))) == {"Authorization": f"Bearer {KEY}"}
    assert headers(Veo(project="demo", credentials=BearerToken(KEY))) == {"Authorization": f"Bearer {KEY}"}
    assert headers(Veo(api_key=KEY)) == {"x-goog-api-key": KEY}


def test_backends_are_made_without_any_secret() -> None:
    assert Kling(api_key=KEY).backend() == KlingBackend("kling", "https://api-singapore.klingai.com", "singapore")
    assert OpenAIVideos(api_key=KEY).backend() == OpenAIVideosBackend("openai", "https://api.openai.com/v1")
    assert Veo(project="demo").backend() == VertexBackend(
        "vertex", "https://us-central1-aiplatform.googleapis.com", "demo", "us-central1"
    )


def test_a_region_of_kling_is_a_host_of_its_own() -> None:
    assert Kling(api_key=KEY, region="beijing").backend().origins == ("https://api-beijing.klingai.com:443",)


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "https://aiplatform.googleapis.com:443"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com:443"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com:443"),
    ],
)
def test_a_location_of_vertex_is_a_host_of_its_own(location: str, host: str) -> None:
    assert Veo(project="demo", location=location).backend().origins[0] == host


def test_a_final_slash_is_cut_and_storage_lies_beside_an_own_vertex_address() -> None:
    account = Veo(project="demo", base_url="http://127.0.0.1:8090/vertex/", output_uri="gs://bucket/runs")
    backend = account.backend()
    assert backend == VertexBackend(
        "vertex",
        "http://127.0.0.1:8090/vertex",
        "demo",
        "us-central1",
        "gs://bucket/runs/",
        "http://127.0.0.1:8090/vertex/storage/v1",
    )
    assert backend.origins == ("http://127.0.0.1:8090", "http://127.0.0.1:8090")


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example/v1",
        "http://10.0.0.1/v1",
        "ftp://gateway.example",
        "https://user:pw@gateway.example",
        "https://gateway.example/v1?key=1",
        "https://gateway.example/#a",
        "https://",
        "https://gate way.example",
        "https://gateway.example:port",
        "https://[::1",
        "gateway.example",
        "https://gateway.example\\@evil.example",
    ],
)
def test_a_base_url_that_is_no_plain_https_address_is_refused(url: str) -> None:
    assert set(faults(OpenAIVideos, api_key=KEY, base_url=url)) == {"base_url"}


@pytest.mark.parametrize(
    "url", ["http://localhost:8090/x", "http://127.0.0.1:1", "http://[::1]:9", "https://a.example:8"]
)
def test_http_is_taken_on_this_machine_and_https_anywhere(url: str) -> None:
    assert OpenAIVideos(api_key=KEY, base_url=url).own


def test_all_faults_are_told_at_once() -> None:
    wrong: dict[str, Any] = {"region": "paris", "name": "a@b", "base_url": "http://x.example", "slots": 0}
    assert set(faults(Kling, **wrong)) == {"region", "name", "base_url", "slots", "api_key"}


@pytest.mark.parametrize(
    ("make", "variable"), [(Kling, "KLING_API_KEY"), (Veo, "GOOGLE_CLOUD_PROJECT"), (OpenAIVideos, "OPENAI_API_KEY")]
)
def test_no_key_names_the_variable_that_would_hold_it(make: Any, variable: str) -> None:
    assert variable in next(iter(faults(make).values()))
    assert variable in " ".join(kind.hint for kind in ACCOUNT_KINDS)


def test_an_empty_key_counts_as_none_and_a_broken_one_is_not_shown() -> None:
    assert set(faults(Kling, api_key="  ")) == {"api_key"}
    assert set(faults(Kling, api_key=f"{KEY}\nx-other: 1")) == {"api_key"}
    assert set(faults(OpenAIVideos, api_key=7)) == {"api_key"}


def test_half_a_pair_of_keys_and_contradictions_are_refused() -> None:
    assert set(faults(Kling, access_key=KEY)) == {"secret_key"}
    assert set(faults(Kling, access_key=KEY, secret_key=KEY, dialect="new")) == {"dialect"}
    assert set(faults(Veo, project="demo", api_key=KEY)) == {"project"}
    assert set(faults(Veo, api_key=KEY, output_uri="gs://bucket/x")) == {"api_key"}
    assert set(faults(Veo, project="demo", output_uri="s3://bucket/x", location="../x")) == {"output_uri", "location"}
    assert set(faults(Kling, api_key=KEY, unit_price=Decimal("0.1"))) == {"unit_price"}


def test_a_dialect_and_an_access_path_are_backends_of_their_own() -> None:
    legacy = Kling(access_key=KEY, secret_key=KEY, region="beijing").backend()
    assert legacy == KlingLegacyBackend("kling", "https://api-beijing.klingai.com", "beijing")
    relay = Kling(api_key=KEY, dialect="legacy", base_url="https://relay.example/kling")
    assert relay.backend() == KlingLegacyBackend("kling", "https://relay.example/kling", "")
    assert Veo(api_key=KEY).backend() == GeminiBackend("gemini", "https://generativelanguage.googleapis.com")
    litellm = OpenAIVideos(api_key=KEY, base_url=GATEWAY, dialect="litellm")
    assert litellm.backend() == OpenAIVideosBackend("openai", GATEWAY, DIALECTS["litellm"])


def test_the_legacy_protocol_takes_either_kind_of_key() -> None:
    assert headers(Kling(api_key=KEY, dialect="legacy")) == {"Authorization": f"Bearer {KEY}"}
    token = headers(Kling(access_key=KEY, secret_key=LONG_KEY))["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, LONG_KEY, algorithms=["HS256"])  # made by this machine's clock, so it holds now
    assert claims["iss"] == KEY


def test_the_legacy_protocol_serves_its_own_ids_and_limits_and_no_turbo() -> None:
    rows = {row.model: row for row in Kling(access_key=KEY, secret_key=KEY, name="old").paths(PATHS)}
    assert {model: row.wire_model for model, row in rows.items()} == {
        "kling-3.0": "kling-v3",
        "kling-3.0-omni": "kling-v3-omni",
        "kling-o1": "kling-video-o1",
        "kling-2.6": "kling-v2-6",
        "kling-2.5-turbo": "kling-v2-5-turbo",
    }
    assert {row.path for row in rows.values()} == {"old"}
    found = fit(VideoRequest("A kite", negative_prompt="rain", duration=15, resolution="4k"), rows["kling-3.0"], TODAY)
    assert found.segment is not None
    assert fit(VideoRequest("A kite", negative_prompt="rain"), rows["kling-3.0-omni"], TODAY).refusals
    assert fit(VideoRequest("k" * 2501), rows["kling-3.0"], TODAY).refusals


def test_an_order_of_a_legacy_row_is_one_that_its_backend_takes() -> None:
    account = Kling(access_key=KEY, secret_key=KEY)
    [row] = [row for row in account.paths(PATHS) if row.model == "kling-3.0"]
    segment = fit(VideoRequest("A kite", duration=8), row, TODAY).segment
    assert segment is not None
    order = Order("mv-1", row.model, row.wire_model, "A kite", segment)
    body = account.backend().submit(order).last(()).request.json
    assert body is not None
    assert (body["model_name"], body["duration"]) == ("kling-v3", "8")


def test_the_gemini_api_is_retired_at_google_and_served_at_an_address_of_ones_own() -> None:
    request = VideoRequest("A kite", duration=8, seed=3)
    [there] = [row for row in Veo(api_key=KEY).paths(PATHS) if row.model == "veo-3.1"]
    [here] = [row for row in Veo(api_key=KEY, base_url=GATEWAY).paths(PATHS) if row.model == "veo-3.1"]
    assert "retired 2026-10-22" in str(fit(request, there, TODAY).refusals)
    assert fit(request, there, dt.date(2026, 8, 1)).segment is not None
    found = fit(request, here, TODAY)
    assert found.refusals == ()
    assert found.segment is not None
    assert price(here, found.segment, TODAY).amount == usd("3.20")


@pytest.mark.parametrize("models", [None, {"my-wan": ModelSpec(sizes=("1280x720",), seconds=(5,))}])
def test_litellm_takes_no_picture_by_its_address_whosever_model_it_is(models: dict[str, ModelSpec] | None) -> None:
    request = VideoRequest("A kite", first_frame=Media(url="https://media.example/a.png"), aspect_ratio="16:9")
    for dialect, refused in (("openai", False), ("litellm", True)):
        account = OpenAIVideos(api_key=KEY, base_url=GATEWAY, dialect=dialect, models=models)  # type: ignore[arg-type]
        row = account.paths(PATHS)[0]
        assert bool(fit(request, row, TODAY).refusals) is refused, dialect


def test_an_account_serves_the_rows_of_its_path_under_its_own_name() -> None:
    rows = Kling(api_key=KEY, name="kling-b").paths(PATHS)
    assert {row.path for row in rows} == {"kling-b"}
    assert {row.model for row in rows} == {row.model for row in PATHS if row.path == "kling"}
    vertex = Veo(project="demo").paths(PATHS)
    assert [row for row in PATHS if row.path == "vertex"] == list(vertex)


def test_sora_is_retired_at_its_vendor_and_served_at_an_address_of_ones_own() -> None:
    request = VideoRequest("A kite", duration=8)
    [there] = [row for row in OpenAIVideos(api_key=KEY).paths(PATHS) if row.model == "sora-2"]
    [here] = [row for row in OpenAIVideos(api_key=KEY, base_url=GATEWAY).paths(PATHS) if row.model == "sora-2"]
    assert "retired" in str(fit(request, there, TODAY).refusals)
    found = fit(request, here, TODAY)
    assert (found.refusals, found.segment is None) == ((), False)
    assert found.segment is not None
    quote = price(here, found.segment, TODAY)
    assert (quote.amount, quote.certainty) == (usd("0.80"), "assumed")


@pytest.mark.parametrize(
    ("account", "place"),
    [
        (OpenAIVideos(api_key=KEY, base_url="https://api.openai.com/v1"), None),
        (OpenAIVideos(api_key=KEY, base_url="https://EU.api.openai.com/v1/"), None),
        (Kling(api_key=KEY, base_url="https://api-beijing.klingai.com"), "singapore"),
        (Veo(project="demo", base_url="https://us-central1-aiplatform.googleapis.com"), "us-central1"),
    ],
)
def test_the_vendors_own_address_written_out_keeps_the_vendors_dates_and_prices(
    account: Account, place: str | None
) -> None:
    assert (account.own, account.place) == (False, place)
    assert list(account.paths(PATHS)) == [row for row in PATHS if row.path == account.path]


def test_an_address_that_only_looks_like_the_vendors_is_ones_own() -> None:
    for url in ("https://api.openai.com.example/v1", "https://notopenai.com/v1", "https://me.openai.azure.com/v1"):
        assert OpenAIVideos(api_key=KEY, base_url=url).own


def test_vertex_written_out_still_has_its_bucket_at_cloud_storage() -> None:
    backend = Veo(project="demo", base_url="https://us-central1-aiplatform.googleapis.com").backend()
    assert backend.origins[1] == "https://storage.googleapis.com:443"


def test_a_region_is_named_only_where_it_was_asked() -> None:
    hosts = ("https://relay.example", "https://api-beijing.klingai.com", None)
    backends = [Kling(api_key=KEY, base_url=url).backend() for url in hosts]
    assert [backend.region for backend in backends if isinstance(backend, KlingBackend)] == ["", "", "singapore"]


def test_limits_of_the_vendor_hold_at_an_address_of_ones_own() -> None:
    [row] = [row for row in OpenAIVideos(api_key=KEY, base_url=GATEWAY).paths(PATHS) if row.model == "sora-2"]
    assert fit(VideoRequest("A kite", duration=7), row, TODAY).refusals


def test_the_vendors_dates_can_be_kept_at_an_address_of_ones_own() -> None:
    account = OpenAIVideos(api_key=KEY, base_url="http://127.0.0.1:1/v1", vendor_dates=True)
    assert list(account.paths(PATHS)) == [row for row in PATHS if row.path == "openai"]
    assert "vendor_dates" not in repr(account)


WAN = ModelSpec(sizes=("1280x720", "720x1280", "854x480"), seconds=(5, 8), price_per_second="0.05", audio=(False,))


def test_a_described_model_is_a_row_with_its_own_limits_and_price() -> None:
    [row] = OpenAIVideos(api_key=KEY, base_url=GATEWAY, models={"my-wan": WAN}, name="mine").paths(PATHS)
    assert (row.name, row.wire_model) == ("my-wan@mine", "my-wan")
    found = fit(VideoRequest("A kite", aspect_ratio="9:16"), row, TODAY)
    assert found.segment is not None
    assert (found.segment.width, found.segment.height, found.segment.seconds) == (720, 1280, 5)
    assert price(row, found.segment, TODAY).amount == usd("0.25")
    assert {facts.resolution for facts in row.modes[0].formats} == {"720p", "480p"}


def test_a_described_model_without_a_price_has_no_price_instead_of_zero() -> None:
    spec = ModelSpec(sizes=("1280x720",), seconds=(5,), first_frame=False)
    [row] = OpenAIVideos(api_key=KEY, base_url=GATEWAY, models={"m": spec}).paths(PATHS)
    assert row.rates == ()
    assert [facts.mode for facts in row.modes] == ["text"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (ModelSpec(sizes=("wide",), seconds=(5,)), "sizes"),
        (ModelSpec(sizes=(), seconds=(5,)), "sizes"),
        (ModelSpec(sizes=("1280x720",), seconds=(0,)), "seconds"),
        (ModelSpec(sizes=("1280x720",), seconds=(5,), audio=()), "audio"),
        (ModelSpec(sizes=("1280x720",), seconds=(5,), price_per_second=0.1), "price_per_second"),  # type: ignore[arg-type]
        (ModelSpec(sizes=("1280x720",), seconds=(5,), price_per_second="cheap"), "price_per_second"),
    ],
)
def test_a_model_that_is_described_wrongly_is_refused(spec: ModelSpec, field: str) -> None:
    assert set(faults(OpenAIVideos, api_key=KEY, base_url=GATEWAY, models={"m": spec})) == {f'models["m"].{field}'}


def test_models_of_ones_own_need_an_address_of_ones_own() -> None:
    assert set(faults(OpenAIVideos, api_key=KEY, models={"m": WAN})) == {"models"}


def test_a_unit_price_of_ones_own_replaces_the_list_price() -> None:
    assert Kling(api_key=KEY, unit_price=usd("0.11")).unit_prices == {UNIT: usd("0.11")}
    assert Kling(api_key=KEY).unit_prices == {}


def test_prices_at_an_own_address_are_assumed_for_every_row() -> None:
    rows = Kling(api_key=KEY, base_url="https://relay.example").paths(PATHS)
    assert {rate.certainty for row in rows for rate in row.rates} == {Certainty.UNCERTAIN}


def test_the_environment_is_read_by_its_documented_names() -> None:
    env = {
        "KLING_API_KEY": "one",
        "KLINGAI_API_KEY": "two",
        "KLING_BASE_URL": "https://relay.example/kling/",
        "GOOGLE_CLOUD_PROJECT": "demo",
        "GOOGLE_CLOUD_LOCATION": "europe-west4",
        "VERTEX_BASE_URL": "http://localhost:1/vertex",
        "GOOGLE_API_KEY": "three",
        "OPENAI_API_KEY": "four",
        "OPENAI_BASE_URL": GATEWAY,
        "OPENAI_VIDEOS_DIALECT": "litellm",
    }
    assert from_environment(env) == (
        Kling(api_key="one", base_url="https://relay.example/kling"),
        Veo(project="demo", location="europe-west4", base_url="http://localhost:1/vertex"),
        Veo(api_key="three"),
        OpenAIVideos(api_key="four", base_url=GATEWAY, dialect="litellm"),
    )


def test_an_empty_variable_counts_as_absent() -> None:
    assert from_environment({"KLING_API_KEY": "", "GEMINI_API_KEY": " ", "OPENAI_API_KEY": "", "PATH": "/bin"}) == ()
    assert from_environment({"KLING_API_KEY": "", "KLINGAI_API_KEY": KEY}) == (Kling(api_key=KEY),)


def test_a_pair_of_kling_keys_in_the_environment_means_the_legacy_dialect() -> None:
    [account] = from_environment({"KLING_ACCESS_KEY": KEY, "KLING_SECRET_KEY": KEY})
    assert isinstance(account, Kling)
    assert account.dialect == "legacy"
    assert set(faults(from_environment, env={"KLING_ACCESS_KEY": KEY})) == {"secret_key"}


def test_the_names_of_the_two_google_paths_do_not_collide() -> None:
    names = [account.name for account in from_environment({"GOOGLE_CLOUD_PROJECT": "demo", "GEMINI_API_KEY": KEY})]
    assert names == ["vertex", "gemini"]
