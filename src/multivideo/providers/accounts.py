"""Who is asked, with which key, and where: the configurations that a client is given.

Each is frozen, told all of its faults at once, and shows no secret. The provider that it makes never sees the key;
the signer that it makes knows nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from attrs import Factory, evolve, field, frozen

from ..catalog.facts import Certainty, ModelPath, ModelSpec
from ..catalog.kling import UNIT as KLING_UNIT
from ..catalog.kling import in_legacy
from ..catalog.openai import in_litellm
from ..errors import InvalidRequest, Problem
from ..secrets import Secret
from ..values.credits import Credits
from ..wire import Provider, Signer
from .dialects import DIALECTS
from .gemini import GeminiBackend
from .kling import KlingBackend
from .kling_legacy import KlingLegacyBackend
from .openai import OpenAIVideosBackend
from .own_models import own_path, spec_problems
from .veo import VertexBackend

__all__ = [
    "ACCOUNT_KINDS",
    "Account",
    "AccountKind",
    "BearerToken",
    "Kling",
    "OpenAIVideos",
    "StaticSigner",
    "Veo",
    "from_environment",
]


class Account(Protocol):
    """One configured provider."""

    @property
    def name(self) -> str:
        """What stands behind the "@" of `model@name`."""
        ...

    @property
    def path(self) -> str:
        """The access path whose rows of the catalog it serves: "kling", "openai", "vertex" or "gemini"."""
        ...

    @property
    def vendor(self) -> str:
        """The key of `options={...}` that it reads."""
        ...

    @property
    def own(self) -> bool:
        """Whether requests go to an address of the user's own."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that can hold its key, for hints."""
        ...

    @property
    def place(self) -> str | None:
        """The vendor's region that is asked, None: the vendor has one for all, or the address is the user's own."""
        ...

    @property
    def slots(self) -> int | None:
        """How many jobs may run at once, None: no limit is known."""
        ...

    @property
    def unit_prices(self) -> dict[str, Credits]:
        """Prices of the vendor's own units that replace the list price."""
        ...

    def backend(self) -> Provider:
        """The protocol that it speaks.

        Raises: UnsupportedFeature if this release cannot speak it yet.
        """
        ...

    def signer(self) -> Signer:
        """The holder of its credential."""
        ...

    def paths(self, catalog_paths: Sequence[ModelPath]) -> tuple[ModelPath, ...]:
        """The rows of the catalog that it serves, under its own name."""
        ...


@frozen
class StaticSigner:
    """Signs every request with the same header."""

    header: str
    secret: Secret
    scheme: str = "Bearer"

    async def headers(self) -> Mapping[str, str]:
        """That header."""
        return {self.header: f"{self.scheme} {self.secret.reveal()}".strip()}


def _secret(value: str | Secret | None) -> Secret | None:
    """The value as a secret; an empty one counts as none."""
    if isinstance(value, str):
        value = Secret(value)
    return value or None


def _base(url: str | None) -> str | None:
    return url.strip().rstrip("/") or None if isinstance(url, str) else url


@frozen
class BearerToken:
    """An access token that somebody else fetched and renews, for `Veo(credentials=...)`."""

    token: Secret = field(converter=_secret)  # None is refused below

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.token, Secret):
            allowed = "an access token as text, which somebody else renews"
            raise InvalidRequest.of([Problem("token", "nothing" if self.token is None else "no text", allowed)])


@frozen(kw_only=True)
class Kling:
    """Kling's own interface.

    An API key (`api_key`) works on the current protocol and, like the older pair of `access_key` and `secret_key`
    (extra `kling`), on the legacy one; each works in one region only. `unit_price` is what a unit of your resource pack
    costs you, where that is not the list price. `slots` is how many videos of one model your pack lets run at once:
    further ones wait here for their turn (None: Kling says itself when it is too many).

    Raises: InvalidRequest naming everything that is wrong.
    """

    api_key: Secret | None = field(default=None, converter=_secret)
    access_key: Secret | None = field(default=None, converter=_secret)
    secret_key: Secret | None = field(default=None, converter=_secret)
    region: Literal["singapore", "beijing"] = "singapore"
    base_url: str | None = field(default=None, converter=_base)
    dialect: Literal["new", "legacy"] = field(default=Factory(lambda self: _kling_dialect(self), takes_self=True))
    name: str = "kling"
    unit_price: Credits | None = None
    slots: int | None = 20
    vendor_dates: bool = field(default=False, repr=False)
    path = "kling"
    vendor = "kling"
    variables = ("KLING_API_KEY", "KLINGAI_API_KEY", "KLING_ACCESS_KEY", "KLING_SECRET_KEY")

    def __attrs_post_init__(self) -> None:
        pair = self.access_key is not None and self.secret_key is not None
        problems = [*_common_problems(self), *_secret_problems(self, "api_key", "access_key", "secret_key")]
        problems += _choice(self, "region", "singapore", "beijing") + _choice(self, "dialect", "new", "legacy")
        if (self.access_key is None) != (self.secret_key is None):
            missing = "secret_key" if self.secret_key is None else "access_key"
            problems.append(Problem(missing, "missing", "access_key and secret_key together"))
        elif self.api_key is None and not pair:
            problems.append(_no_key("api_key", "KLING_API_KEY"))
        elif self.api_key is None and self.dialect == "new":
            # Kling answers 401, code 1002, "does not support AK/SK" (observed 2026-10-04)
            allowed = 'dialect="legacy" with access_key and secret_key, or an api_key'
            problems.append(Problem("dialect", '"new" without an api_key', allowed))
        if self.unit_price is not None and not (isinstance(self.unit_price, Credits) and self.unit_price.micro_usd > 0):
            problems.append(Problem("unit_price", _shown(self.unit_price), 'more than nothing: multivideo.usd("0.11")'))
        _refuse(problems, self.name)

    @property
    def own(self) -> bool:
        """Whether requests go to an address of the user's own."""
        return _is_own(self.base_url, "klingai.com", "kling.ai")

    @property
    def place(self) -> str | None:
        """The region of the key, at Kling's own address."""
        return None if self.own else self.region

    @property
    def unit_prices(self) -> dict[str, Credits]:
        """The price of a unit, where the user gave one."""
        return {} if self.unit_price is None else {KLING_UNIT: self.unit_price}

    def backend(self) -> Provider:
        """The protocol of its dialect."""
        url = self.base_url or f"https://api-{self.region}.klingai.com"
        region = self.region if self.place and f"-{self.region}." in url else ""
        backend = KlingLegacyBackend if self.dialect == "legacy" else KlingBackend
        return backend(self.name, url, region)

    def signer(self) -> Signer:
        """Sends the API key, else a token of the access key, signed for each request by the system's clock."""
        if self.api_key is not None:
            return StaticSigner("Authorization", self.api_key)
        from ..clock import SystemClock  # loads the event loops' library, and only these keys need the time
        from .jwt_signer import JwtSigner

        return JwtSigner(self.access_key or Secret(""), self.secret_key or Secret(""), SystemClock().wall)

    def paths(self, catalog_paths: Sequence[ModelPath]) -> tuple[ModelPath, ...]:
        """Kling's models under this name, with the limits of its dialect."""
        rows = [row for row in catalog_paths if row.path == self.path]
        return _served(self, in_legacy(rows) if self.dialect == "legacy" else rows)


def _kling_dialect(account: Kling) -> str:
    return "legacy" if account.api_key is None and account.access_key is not None else "new"


@frozen(kw_only=True)
class Veo:
    """Google's Veo: on Vertex AI with a `project`, on the Gemini API with an `api_key`.

    `credentials` None means the application-default credentials of this machine. With `output_uri`, a folder in Cloud
    Storage, Vertex writes the videos there, and a submit whose answer was lost can be looked up; without it the videos
    come inside the last answer. `storage_url` is where Cloud Storage answers; left out: Google's own, or under
    `base_url` where one is given.

    Raises: InvalidRequest naming everything that is wrong.
    """

    project: str | None = None
    location: str = "us-central1"
    credentials: Any = field(default=None, repr=False, eq=False)
    output_uri: str | None = None
    api_key: Secret | None = field(default=None, converter=_secret)
    base_url: str | None = field(default=None, converter=_base)
    storage_url: str | None = field(default=None, converter=_base)
    name: str = field(default=Factory(lambda self: self.path, takes_self=True))
    slots: int | None = None
    vendor_dates: bool = field(default=False, repr=False)
    vendor = "veo"

    def __attrs_post_init__(self) -> None:
        problems = [*_common_problems(self), *_secret_problems(self, "api_key")]
        problems += [*_url_problems("storage_url", self.storage_url), *self._place_problems()]
        if self.project and self.api_key:
            allowed = "project for Vertex AI, or api_key for the Gemini API; two accounts for both"
            problems.append(Problem("project", "given together with api_key", allowed))
        elif not self.project and not self.api_key:
            problems.append(_no_key("project", "GOOGLE_CLOUD_PROJECT"))
        if self.api_key and (self.credentials is not None or self.output_uri is not None):
            problems.append(Problem("api_key", "given with credentials or output_uri", "those two belong to project="))
        _refuse(problems, self.name)

    def _place_problems(self) -> Iterable[Problem]:
        if self.project and not _fits(r"[a-z0-9][a-z0-9.:-]{0,62}", self.project):
            yield Problem("project", _shown(self.project), "the id of a Google Cloud project")
        if not _fits(r"[a-z]+(-[a-z]+\d+)?", self.location):
            yield Problem("location", _shown(self.location), 'a region such as "us-central1", or "global"')
        if self.output_uri is not None and not _fits(r"gs://[a-z0-9][a-z0-9._-]+(/[^\s?#]*)?", self.output_uri):
            yield Problem("output_uri", _shown(self.output_uri), 'a folder in Cloud Storage: "gs://bucket/folder/"')
        known = self.credentials is None or isinstance(self.credentials, BearerToken)
        if not known and not callable(getattr(self.credentials, "before_request", None)):
            allowed = "credentials of google-auth, or multivideo.BearerToken(...)"
            yield Problem("credentials", f"a {type(self.credentials).__name__}", allowed)

    @property
    def path(self) -> str:
        """The access path: "vertex" or "gemini"."""
        return "gemini" if self.api_key else "vertex"

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that can hold its key."""
        return ("GEMINI_API_KEY", "GOOGLE_API_KEY") if self.api_key else ("GOOGLE_CLOUD_PROJECT",)

    @property
    def own(self) -> bool:
        """Whether requests go to an address of the user's own."""
        return _is_own(self.base_url, "googleapis.com")

    @property
    def place(self) -> str | None:
        """The location that is asked on Vertex AI, at Google's own address."""
        return None if self.own or self.api_key else self.location

    @property
    def unit_prices(self) -> dict[str, Credits]:
        """None: Google lists its prices in dollars."""
        return {}

    def backend(self) -> Provider:
        """The protocol of Vertex AI or of the Gemini API."""
        if self.project is None:
            return GeminiBackend(self.name, self.base_url or "https://generativelanguage.googleapis.com")
        return VertexBackend(
            self.name,
            self.base_url or _vertex_host(self.location),
            self.project,
            self.location,
            f"{self.output_uri.rstrip('/')}/" if self.output_uri else None,
            self.storage_url or f"{self.base_url if self.own else 'https://storage.googleapis.com'}/storage/v1",
        )

    def signer(self) -> Signer:
        """The API key, the given token, or what google-auth makes of the credentials."""
        if self.api_key is not None:
            return StaticSigner("x-goog-api-key", self.api_key, scheme="")
        if isinstance(self.credentials, BearerToken):
            return StaticSigner("Authorization", self.credentials.token)
        from ..transport.google import GoogleSigner  # google-auth is an extra, and slow to import

        return GoogleSigner(self.credentials)

    def paths(self, catalog_paths: Sequence[ModelPath]) -> tuple[ModelPath, ...]:
        """Google's models under this name."""
        return _served(self, catalog_paths)


def _fits(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _vertex_host(location: str) -> str:
    """Regions, the global endpoint and the two multi-regions have different hosts (discovery document, 2026-11-06)."""
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in {"us", "eu"}:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


@frozen(kw_only=True)
class OpenAIVideos:
    """The OpenAI Videos protocol (`/v1/videos`), at OpenAI or at any address that speaks it.

    With a `base_url` of your own, the vendor's retirement dates do not count. `models` describes what that address
    serves, by the id that is sent; left out: OpenAI's models with OpenAI's limits and last list prices.

    Raises: InvalidRequest naming everything that is wrong.
    """

    api_key: Secret | None = field(default=None, converter=_secret)
    base_url: str | None = field(default=None, converter=_base)
    dialect: Literal["openai", "litellm"] = "openai"
    models: Mapping[str, ModelSpec] | None = field(default=None, hash=False)
    name: str = "openai"
    slots: int | None = None
    vendor_dates: bool = field(default=False, repr=False)
    path = "openai"
    vendor = "openai"
    variables = ("OPENAI_API_KEY",)

    def __attrs_post_init__(self) -> None:
        problems = [*_common_problems(self), *_secret_problems(self, "api_key")]
        problems += _choice(self, "dialect", "openai", "litellm")
        if self.api_key is None:
            problems.append(_no_key("api_key", "OPENAI_API_KEY"))
        if self.models is not None:
            problems += spec_problems(self.models)
            if self.base_url is None:
                problems.append(
                    Problem("models", "given without base_url", "models of your own at a base_url of your own")
                )
        _refuse(problems, self.name)

    @property
    def own(self) -> bool:
        """Whether requests go to an address of the user's own."""
        return _is_own(self.base_url, "openai.com")

    @property
    def place(self) -> None:
        """None: one address serves all regions."""

    @property
    def unit_prices(self) -> dict[str, Credits]:
        """None: prices are in dollars."""
        return {}

    def backend(self) -> Provider:
        """The protocol in its dialect."""
        return OpenAIVideosBackend(self.name, self.base_url or "https://api.openai.com/v1", DIALECTS[self.dialect])

    def signer(self) -> Signer:
        """Sends the API key."""
        return StaticSigner("Authorization", self.api_key or Secret(""))

    def paths(self, catalog_paths: Sequence[ModelPath]) -> tuple[ModelPath, ...]:
        """The models described by `models`, else OpenAI's, under this name."""
        if self.models is None:
            served = _served(self, catalog_paths)
        else:
            served = tuple(
                own_path(model, spec, path=self.name, vendor=self.vendor) for model, spec in self.models.items()
            )
        return in_litellm(served) if self.dialect == "litellm" else served


_AnyAccount = Kling | Veo | OpenAIVideos


def _served(account: _AnyAccount, rows: Sequence[ModelPath]) -> tuple[ModelPath, ...]:
    found = [evolve(row, path=account.name) for row in rows if row.path == account.path]
    if account.own and not account.vendor_dates:
        found = [_at_own_address(row) for row in found]
    return tuple(found)


def _at_own_address(row: ModelPath) -> ModelPath:
    """The vendor's end of service does not hold at another address, its prices need not, its limits do."""
    life = evolve(
        row.lifecycle, deprecated=None, retires=None, not_before=None, successor="", certainty=Certainty.UNCERTAIN
    )
    # a last list price goes on past the day on which the vendor's own list ended
    last = max((rate.until for rate in row.rates if rate.until is not None), default=None)
    rates = [evolve(r, until=None if r.until == last else r.until, certainty=Certainty.UNCERTAIN) for r in row.rates]
    return evolve(row, lifecycle=life, rates=tuple(rates))


def _common_problems(account: _AnyAccount) -> Iterable[Problem]:
    if not isinstance(account.name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", account.name):
        yield Problem("name", _shown(account.name), 'letters, digits, ".", "_" and "-"')
    if account.slots is not None and (type(account.slots) is not int or account.slots < 1):
        yield Problem("slots", _shown(account.slots), "a whole number from 1, or None")
    yield from _url_problems("base_url", account.base_url)


def _secret_problems(account: _AnyAccount, *names: str) -> Iterable[Problem]:
    for name in names:
        value = getattr(account, name)
        if value is None:
            continue
        if not isinstance(value, Secret):
            yield Problem(name, f"a {type(value).__name__}", "text")
        elif not re.fullmatch(r"[!-~]+", value.reveal()):
            yield Problem(
                name, "text with blanks or characters that no header carries", "the key as the vendor shows it"
            )


def _url_problems(name: str, url: str | None) -> Iterable[Problem]:
    """What is wrong with a base URL; its text is shown only where it can hold no secret."""
    allowed = "an https address without credentials and query; http only on this machine"
    if url is None:
        return
    if not isinstance(url, str) or re.search(r"[\x00-\x20\x7f\\]", url):
        yield Problem(name, "no address", allowed)
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        yield Problem(name, "no address", allowed)
        return
    if parts.username is not None or parts.password is not None:
        yield Problem(name, "an address with credentials", allowed)
    elif "?" in url or "#" in url:
        yield Problem(name, "an address with a query or a fragment", allowed)
    elif not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        yield Problem(name, _shown(url), allowed)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_own(url: str | None, *domains: str) -> bool:
    """Whether an address is not the vendor's; one that is keeps the vendor's dates, prices and regions."""
    host = (urlsplit(url).hostname or "").rstrip(".") if url is not None else ""
    return url is not None and not any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _choice(account: _AnyAccount, name: str, *words: str) -> list[Problem]:
    value = getattr(account, name)
    return [] if value in words else [Problem(name, _shown(value), " or ".join(f'"{word}"' for word in words))]


def _no_key(name: str, variable: str) -> Problem:
    return Problem(name, "missing", f"{name}=..., or {variable} in the environment")


def _shown(value: object) -> str:
    return f'"{value[:80]}"' if isinstance(value, str) else repr(value)[:80]


def _refuse(problems: Sequence[Problem], name: str) -> None:
    if problems:
        raise InvalidRequest.of(problems, provider=str(name)[:64])


@frozen
class AccountKind:
    """One way to configure a provider: the access path, the variable that does it, and how to write it in code."""

    path: str
    variables: tuple[str, ...]
    code: str

    @property
    def hint(self) -> str:
        """What to do where no account serves this path."""
        return f"set {' and '.join(self.variables)}, or providers=[multivideo.{self.code}]"


ACCOUNT_KINDS = (
    AccountKind("kling", ("KLING_API_KEY",), "Kling(api_key=...)"),
    AccountKind("vertex", ("GOOGLE_CLOUD_PROJECT",), "Veo(project=...)"),
    AccountKind("gemini", ("GEMINI_API_KEY",), "Veo(api_key=...)"),
    AccountKind("openai", ("OPENAI_API_KEY",), "OpenAIVideos(api_key=...)"),
)


def from_environment(env: Mapping[str, str]) -> tuple[Account, ...]:
    """Every account whose variables are set; one that is set to nothing counts as not set.

    Raises: InvalidRequest if what is set cannot be.
    """
    found: list[Account] = []
    given = {name: value.strip() for name, value in env.items() if value.strip()}
    kling_url = given.get("KLING_BASE_URL")
    if key := given.get("KLING_API_KEY") or given.get("KLINGAI_API_KEY"):
        found.append(Kling(api_key=key, base_url=kling_url))
    elif "KLING_ACCESS_KEY" in given or "KLING_SECRET_KEY" in given:
        access, secret = given.get("KLING_ACCESS_KEY"), given.get("KLING_SECRET_KEY")
        found.append(Kling(access_key=access, secret_key=secret, base_url=kling_url))
    if project := given.get("GOOGLE_CLOUD_PROJECT"):
        location = given.get("GOOGLE_CLOUD_LOCATION", "us-central1")
        found.append(Veo(project=project, location=location, base_url=given.get("VERTEX_BASE_URL")))
    if key := given.get("GEMINI_API_KEY") or given.get("GOOGLE_API_KEY"):
        found.append(Veo(api_key=key, base_url=given.get("GEMINI_BASE_URL")))
    if key := given.get("OPENAI_API_KEY"):
        dialect: Any = given.get("OPENAI_VIDEOS_DIALECT", "openai")
        found.append(OpenAIVideos(api_key=key, base_url=given.get("OPENAI_BASE_URL"), dialect=dialect))
    return tuple(found)
