"""AI video from several vendors through one typed async call. All public names stand here, and load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .blocking import BlockingJob, Client
    from .catalog.book import Catalog
    from .catalog.facts import ModelSpec
    from .client import AsyncClient
    from .errors import (
        AuthenticationFailed,
        BudgetExceeded,
        ContentFiltered,
        DeliverableMismatch,
        DownloadFailed,
        GenerationFailed,
        InsufficientCredits,
        InvalidRequest,
        LedgerError,
        MultiVideoError,
        NoProviderConfigured,
        NoRoute,
        OutcomeUnknown,
        Problem,
        ProviderError,
        ProviderUnavailable,
        RateLimited,
        StillRunning,
        UnsupportedFeature,
    )
    from .files.inspect import Check
    from .jobs.job import Job
    from .jobs.recover import RecoveryReport
    from .ledger.account import CreditAccount
    from .ledger.ledger import Ledger, MemoryLedger
    from .ledger.records import Budget
    from .ledger.reports import Unresolved
    from .ledger.statement import Statement
    from .providers.accounts import BearerToken, Kling, OpenAIVideos, Veo
    from .routing.policies import Scorecard
    from .secrets import Secret
    from .values.credits import Credits, usd
    from .values.events import (
        Downloaded,
        Event,
        Failed,
        Finished,
        LeftOpen,
        Planned,
        Progress,
        Retried,
        Settled,
        Submitted,
    )
    from .values.health import ProviderHealth, SlotUse
    from .values.media import Media
    from .values.plan import (
        Candidate,
        Plan,
        Quote,
        Ranked,
        Refusal,
        Rejected,
        RoutingContext,
        RoutingPolicy,
        Segment,
        Term,
    )
    from .values.refs import JobRef, VendorHandle, VendorRef
    from .values.request import VideoRequest, VideoSpec
    from .values.result import Video
    from .values.words import Brief, Element, Mode, Shot
    from .webhooks import WebhookEvent, verify_kling, verify_openai
    from .wire import JobState, JobStatus

__all__ = [
    "AsyncClient",
    "AuthenticationFailed",
    "BearerToken",
    "BlockingJob",
    "Brief",
    "Budget",
    "BudgetExceeded",
    "Candidate",
    "Catalog",
    "Check",
    "Client",
    "ContentFiltered",
    "CreditAccount",
    "Credits",
    "DeliverableMismatch",
    "DownloadFailed",
    "Downloaded",
    "Element",
    "Event",
    "Failed",
    "Finished",
    "GenerationFailed",
    "InsufficientCredits",
    "InvalidRequest",
    "Job",
    "JobRef",
    "JobState",
    "JobStatus",
    "Kling",
    "Ledger",
    "LedgerError",
    "LeftOpen",
    "Media",
    "MemoryLedger",
    "Mode",
    "ModelSpec",
    "MultiVideoError",
    "NoProviderConfigured",
    "NoRoute",
    "OpenAIVideos",
    "OutcomeUnknown",
    "Plan",
    "Planned",
    "Problem",
    "Progress",
    "ProviderError",
    "ProviderHealth",
    "ProviderUnavailable",
    "Quote",
    "Ranked",
    "RateLimited",
    "RecoveryReport",
    "Refusal",
    "Rejected",
    "Retried",
    "RoutingContext",
    "RoutingPolicy",
    "Scorecard",
    "Secret",
    "Segment",
    "Settled",
    "Shot",
    "SlotUse",
    "Statement",
    "StillRunning",
    "Submitted",
    "Term",
    "Unresolved",
    "UnsupportedFeature",
    "VendorHandle",
    "VendorRef",
    "Veo",
    "Video",
    "VideoRequest",
    "VideoSpec",
    "WebhookEvent",
    "__version__",
    "usd",
    "verify_kling",
    "verify_openai",
]

# where each name lives; nothing of it is imported before it is asked for
_HOMES = {
    "BlockingJob": "blocking",
    "Client": "blocking",
    "Catalog": "catalog.book",
    "ModelSpec": "catalog.facts",
    "AsyncClient": "client",
    "AuthenticationFailed": "errors",
    "BudgetExceeded": "errors",
    "ContentFiltered": "errors",
    "DeliverableMismatch": "errors",
    "DownloadFailed": "errors",
    "GenerationFailed": "errors",
    "InsufficientCredits": "errors",
    "InvalidRequest": "errors",
    "LedgerError": "errors",
    "MultiVideoError": "errors",
    "NoProviderConfigured": "errors",
    "NoRoute": "errors",
    "OutcomeUnknown": "errors",
    "Problem": "errors",
    "ProviderError": "errors",
    "ProviderUnavailable": "errors",
    "RateLimited": "errors",
    "StillRunning": "errors",
    "UnsupportedFeature": "errors",
    "Check": "files.inspect",
    "Job": "jobs.job",
    "RecoveryReport": "jobs.recover",
    "CreditAccount": "ledger.account",
    "Ledger": "ledger.ledger",
    "MemoryLedger": "ledger.ledger",
    "Budget": "ledger.records",
    "Unresolved": "ledger.reports",
    "Statement": "ledger.statement",
    "BearerToken": "providers.accounts",
    "Kling": "providers.accounts",
    "OpenAIVideos": "providers.accounts",
    "Veo": "providers.accounts",
    "Scorecard": "routing.policies",
    "Secret": "secrets",
    "Credits": "values.credits",
    "usd": "values.credits",
    "Downloaded": "values.events",
    "Event": "values.events",
    "Failed": "values.events",
    "Finished": "values.events",
    "LeftOpen": "values.events",
    "Planned": "values.events",
    "Progress": "values.events",
    "Retried": "values.events",
    "Settled": "values.events",
    "Submitted": "values.events",
    "ProviderHealth": "values.health",
    "SlotUse": "values.health",
    "Media": "values.media",
    "Candidate": "values.plan",
    "Plan": "values.plan",
    "Quote": "values.plan",
    "Ranked": "values.plan",
    "Refusal": "values.plan",
    "Rejected": "values.plan",
    "RoutingContext": "values.plan",
    "RoutingPolicy": "values.plan",
    "Segment": "values.plan",
    "Term": "values.plan",
    "JobRef": "values.refs",
    "VendorHandle": "values.refs",
    "VendorRef": "values.refs",
    "Brief": "values.words",
    "Element": "values.words",
    "Mode": "values.words",
    "Shot": "values.words",
    "VideoRequest": "values.request",
    "VideoSpec": "values.request",
    "Video": "values.result",
    "WebhookEvent": "webhooks",
    "verify_kling": "webhooks",
    "verify_openai": "webhooks",
    "JobState": "wire",
    "JobStatus": "wire",
}


if not TYPE_CHECKING:  # else a type checker would believe in any name

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
