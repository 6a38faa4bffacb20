"""Tokens of an access key and a secret key."""

from __future__ import annotations

import sys

import jwt
import pytest

from multivideo.errors import AuthenticationFailed
from multivideo.providers.jwt_signer import JwtSigner
from multivideo.secrets import Secret

pytestmark = pytest.mark.anyio

# by hand from Kling's authentication page, read 2026-09-20: HS256, three claims, the key order of its samples
VECTOR = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJpc3MiOiJhay10ZXN0IiwiZXhwIjoxODAwMDAxODAwLCJuYmYiOjE3OTk5OTk5OTV9."
    "PX1Q3Fi5gWJvVbdzAptA5b_XcQQGe-izvFUr0pDqPHg"
)
ACCESS, SECRET = Secret("an-access-key"), Secret("a-secret-key-of-thirty-two-bytes!")


@pytest.mark.filterwarnings("ignore:The HMAC key is 7 bytes long")
async def test_the_known_token_comes_out() -> None:
    signer = JwtSigner(Secret("ak-test"), Secret("sk-test"), lambda: 1_800_000_000.9, early_s=5)
    assert await signer.headers() == {"Authorization": f"Bearer {VECTOR}"}


async def test_a_token_counts_from_a_minute_ago_to_half_an_hour_ahead_of_the_clock_that_was_given() -> None:
    times = iter([1000.0, 5000.0])
    signer = JwtSigner(ACCESS, SECRET, lambda: next(times))
    for now in (1000, 5000):
        token = (await signer.headers())["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(
            token, SECRET.reveal(), algorithms=["HS256"], options={"verify_exp": False, "verify_nbf": False}
        )
        assert claims == {"iss": ACCESS.reveal(), "exp": now + 1800, "nbf": now - 60}


async def test_without_pyjwt_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(AuthenticationFailed) as refused:
        await JwtSigner(ACCESS, SECRET, lambda: 0.0).headers()
    assert "multivideo[kling]" in refused.value.hint


async def test_a_signer_shows_neither_key() -> None:
    shown = repr(JwtSigner(ACCESS, SECRET, lambda: 0.0))
    assert ACCESS.reveal() not in shown
    assert SECRET.reveal() not in shown
