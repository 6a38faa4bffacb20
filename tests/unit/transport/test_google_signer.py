from __future__ import annotations

import datetime as dt
import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Any

import anyio
import google.auth
import pytest
from google.oauth2 import credentials as google_credentials

from multivideo.errors import AuthenticationFailed
from multivideo.transport.google import GoogleSigner
from raw_server import Handler, Line, serving

pytestmark = pytest.mark.anyio

Credentials: Any = google_credentials.Credentials  # the library is not typed
TOKEN, REFRESH, SECRET = "ya29.canary-token", "1//canary-refresh", "canary-client-secret"
PAST = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - google-auth wants it naive


def stale(port: int, **more: object) -> Any:
    """Credentials whose token ran out, to be refreshed at a server of the test."""
    return Credentials(
        "ya29.old",
        refresh_token=REFRESH,
        token_uri=f"http://127.0.0.1:{port}/token",
        client_id="client",
        client_secret=SECRET,
        expiry=PAST,
        **more,
    )


def answers(status: int, body: object) -> Handler:
    async def handle(line: Line) -> None:
        await line.request()
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        await line.send(head.encode() + data)

    return handle


grant = answers(200, {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})


async def refused(signer: GoogleSigner) -> AuthenticationFailed:
    """The error of a signer that gets no token; nowhere does it hold a secret."""
    with pytest.raises(AuthenticationFailed) as caught:
        await signer.headers()
    shown = str(caught.value) + repr(vars(caught.value)) + "".join(traceback.format_exception(caught.value))
    assert not [word for word in (TOKEN, REFRESH, SECRET, "ya29.old") if word in shown]
    assert caught.value.hint
    return caught.value


async def test_a_token_that_is_good_is_sent_as_it_is() -> None:
    assert await GoogleSigner(Credentials(TOKEN)).headers() == {"authorization": f"Bearer {TOKEN}"}


async def test_the_project_that_pays_is_named_where_the_credentials_name_one() -> None:
    headers = await GoogleSigner(Credentials(TOKEN, quota_project_id="payer")).headers()
    assert headers == {"authorization": f"Bearer {TOKEN}", "x-goog-user-project": "payer"}


async def test_a_stale_token_is_refreshed_once_for_all_who_ask() -> None:
    seen: list[str] = []

    async def ask(signer: GoogleSigner) -> None:
        seen.append((await signer.headers())["authorization"])

    async with serving(grant) as wire:
        signer = GoogleSigner(stale(wire.port))
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask, signer)
    assert seen == [f"Bearer {TOKEN}"] * 5
    assert len(wire.requests) == 1
    assert b"grant_type=refresh_token" in wire.requests[0]


async def test_a_refused_refresh_is_an_authentication_error_that_stays() -> None:
    async with serving(answers(400, {"error": "invalid_grant", "error_description": REFRESH})) as wire:
        error = await refused(GoogleSigner(stale(wire.port)))
    assert "RefreshError" in error.what
    assert error.retryable is False


async def test_a_token_server_that_is_not_there_is_an_authentication_error_that_may_pass() -> None:
    async with serving(grant) as wire:
        port = wire.port
    error = await refused(GoogleSigner(stale(port)))
    assert "TransportError" in error.what
    assert error.retryable is True


async def test_a_token_server_that_hangs_up_is_an_authentication_error_that_may_pass() -> None:
    async def hang_up(line: Line) -> None:
        await line.request()

    async with serving(hang_up) as wire:
        assert (await refused(GoogleSigner(stale(wire.port)))).retryable is True


async def test_credentials_that_break_are_an_authentication_error_without_their_words() -> None:
    class Broken:
        requires_scopes = True

        def with_scopes(self, scopes: object) -> object:
            raise OSError(SECRET)

    assert "OSError" in (await refused(GoogleSigner(Broken()))).what


async def test_credentials_that_need_a_scope_are_given_it_once() -> None:
    class Unscoped(google_credentials.Credentials):
        requires_scopes = True
        asked: list[object] = []  # noqa: RUF012

        def with_scopes(self, scopes: object) -> Any:
            self.asked.append(scopes)
            return Credentials(TOKEN)

    unscoped: Any = Unscoped
    signer = GoogleSigner(unscoped(None))
    for _ in range(2):
        assert (await signer.headers())["authorization"] == f"Bearer {TOKEN}"
    assert Unscoped.asked == [["https://www.googleapis.com/auth/cloud-platform"]]


async def test_without_credentials_those_of_the_machine_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(grant) as wire:
        file = tmp_path / "application_default_credentials.json"
        file.write_text(
            json.dumps({"type": "authorized_user", "client_id": "c", "client_secret": SECRET, "refresh_token": REFRESH})
        )
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"http://127.0.0.1:{wire.port}/")
        signer = GoogleSigner()
        assert (await signer.headers())["authorization"] == f"Bearer {TOKEN}"
    assert REFRESH.replace("/", "%2F").encode() in wire.requests[0]


async def test_a_machine_without_credentials_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    error = await refused(GoogleSigner())
    assert "DefaultCredentialsError" in error.what
    assert "gcloud auth" in error.hint


async def test_a_missing_library_is_told_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    assert "multivideo[vertex]" in (await refused(GoogleSigner(Credentials(TOKEN)))).hint
    assert google.auth is not None


async def test_no_log_holds_a_token_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(grant) as wire:
        await GoogleSigner(stale(wire.port)).headers()
    shown = "".join(record.getMessage() + repr(vars(record)) for record in caplog.records)
    assert not [word for word in (TOKEN, REFRESH, SECRET, "ya29.old") if word in shown]
