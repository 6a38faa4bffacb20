"""Every error that leaves this library.

    MultiVideoError
      InvalidRequest (a ValueError)    something in the request cannot be; all of it is listed
        UnsupportedFeature             the model or path cannot do what was asked
      NoRoute                          no model can make it; holds the plan with every reason
      NoProviderConfigured             no key anywhere
      InsufficientCredits, BudgetExceeded
      LedgerError                      the books cannot be written
      ProviderError                    the vendor said no, or said nothing
        AuthenticationFailed
        RateLimited
        ContentFiltered                the prompt, a picture or the result was refused by the vendor's rules
        GenerationFailed               the vendor accepted the job and could not make it
        ProviderUnavailable            it could not be reached, or answered with a fault of its own
        OutcomeUnknown                 a paid submit whose answer was lost: it may or may not run
      StillRunning                     the deadline came first; holds the job
      DownloadFailed                   the video is made and paid, its file could not be fetched
      DeliverableMismatch              the file is not what was ordered

Each says by attributes whose fault it is, what it cost and whether to try again, and prints in the same lines: what
happened, what was asked, what is allowed, what to do next, what it cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from attrs import frozen

if TYPE_CHECKING:
    from .values.credits import Credits
    from .values.plan import Plan
    from .values.refs import JobRef
    from .values.result import Video

__all__ = [
    "AuthenticationFailed",
    "BudgetExceeded",
    "Charged",
    "ContentFiltered",
    "DeliverableMismatch",
    "DownloadFailed",
    "Fault",
    "GenerationFailed",
    "InsufficientCredits",
    "InvalidRequest",
    "LedgerError",
    "MultiVideoError",
    "NoProviderConfigured",
    "NoRoute",
    "OutcomeUnknown",
    "Problem",
    "ProviderError",
    "ProviderUnavailable",
    "RateLimited",
    "StillRunning",
    "UnsupportedFeature",
]

Fault = Literal["caller", "provider", "network"]
Charged = Literal["no", "held", "yes", "unknown"]

_COST = {
    "no": "no",
    "held": "held until the outcome is known",
    "yes": "yes",
    "unknown": "unknown",
}


@frozen
class Problem:
    """One thing that cannot be: the field, what was asked, what is allowed."""

    field: str
    asked: str
    allowed: str
    what: str = ""
    hint: str = ""


class MultiVideoError(Exception):
    """Anything that went wrong in this library.

    Attributes:
        fault: whose it is: the caller's, the provider's or the network's.
        charged: "no", "held" (money is set aside until the outcome is known), "yes" or "unknown".
        charge: the amount, where it is known.
        retryable: whether the same call may succeed later.
        field: the option of the request that is meant, if one is.
        hint: what to do next.
        job_id, attempt_id, provider, request_id, step: where it happened, as far as known.
        retry_after: seconds the provider asked to wait, if it did.
        ref: the reference of a job that was accepted; `ref.to_json()` is what to store, and `resume` goes on from it.
    """

    fault: Fault = "provider"
    charged: Charged = "no"
    retryable: bool = False
    ref: JobRef | None = None
    _live: ClassVar[tuple[str, ...]] = ()  # attributes that belong to this process and are None in another

    def __init__(
        self,
        what: str,
        *,
        asked: str = "",
        allowed: str = "",
        hint: str = "",
        cost: str = "",
        field: str | None = None,
        fault: Fault | None = None,
        charged: Charged | None = None,
        charge: Credits | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        job_id: str | None = None,
        attempt_id: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        step: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.asked, self.allowed, self.hint, self.cost = what, asked, allowed, hint, cost
        self.field, self.charge, self.retry_after = field, charge, retry_after
        self.job_id, self.attempt_id = job_id, attempt_id
        self.provider, self.request_id, self.step = provider, request_id, step
        self.fault = fault if fault is not None else type(self).fault
        self.charged = charged if charged is not None else type(self).charged
        self.retryable = retryable if retryable is not None else type(self).retryable

    def reword(self, what: str) -> None:
        """Say otherwise what happened; all else stays."""
        self.what, self.args = what, (what,)

    def __str__(self) -> str:
        cost = self.cost or _COST[self.charged]
        if self.charge is not None and not self.cost:
            cost = f"{cost}, {self.charge}"
        where = ", ".join(f"{name} {value}" for name, value in self._where().items() if value)
        lines = {"asked": self.asked, "allowed": self.allowed, "next": self.hint, "charged": cost, "where": where}
        return "\n".join([self.what, *(f"  {name + ':':<9}{text}" for name, text in lines.items() if text)])

    def _where(self) -> dict[str, str | None]:
        return {"provider": self.provider, "job": self.job_id, "request": self.request_id}

    def __copy__(self) -> Self:
        return _rebuild(type(self), self.what, vars(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.what, {**vars(self), **dict.fromkeys(self._live)})


_Error = TypeVar("_Error", bound=MultiVideoError)


def _rebuild(cls: type[_Error], what: str, state: dict[str, Any]) -> _Error:
    error = cls.__new__(cls)
    Exception.__init__(error, what)
    vars(error).update(state)
    return error


class InvalidRequest(MultiVideoError, ValueError):
    """The request cannot be: `problems` lists every field that is wrong. Nothing was sent."""

    fault = "caller"
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, problems: Iterable[Problem], *, what: str = "", **where: Any) -> Self:
        """One error that names all problems."""
        all_of_them = tuple(problems)
        first = all_of_them[0]
        names = ", ".join(dict.fromkeys(p.field for p in all_of_them))
        if len(all_of_them) > 1:
            what = what or f"{len(all_of_them)} things in this request cannot be: {names}."
        what = what or first.what or f"{first.field} cannot be {first.asked}."
        error = cls(
            what,
            asked=", ".join(dict.fromkeys(f"{p.field}={p.asked}" for p in all_of_them)),
            allowed="; ".join(p.allowed if len(all_of_them) == 1 else f"{p.field}: {p.allowed}" for p in all_of_them),
            hint="; ".join(dict.fromkeys(p.hint for p in all_of_them if p.hint)),
            cost="no, nothing was sent",
            field=first.field,
            **where,
        )
        error.problems = all_of_them
        return error


class UnsupportedFeature(InvalidRequest):
    """The chosen model or access path cannot do what was asked. Nothing was sent."""

    def _where(self) -> dict[str, str | None]:  # the first line names the model; a job only if there was one
        return {"job": self.job_id, "request": self.request_id}


class NoRoute(MultiVideoError):
    """No model and path can make this request; `plan` says why for each. Nothing was sent."""

    fault = "caller"
    _live = ("plan",)

    def __init__(self, what: str, *, plan: Plan | None = None, **more: Any) -> None:
        super().__init__(what, **{"cost": "no, nothing was sent", **more})
        self.plan = plan


class NoProviderConfigured(MultiVideoError):
    """No provider has a key. Nothing was sent."""

    fault = "caller"


class InsufficientCredits(MultiVideoError):
    """The funded account does not hold the price. Nothing was sent."""

    fault = "caller"


class BudgetExceeded(MultiVideoError):
    """The price would pass the budget of the call. Nothing was sent."""

    fault = "caller"


class LedgerError(MultiVideoError):
    """The books or the download folder cannot be written."""

    fault = "caller"


class ProviderError(MultiVideoError):
    """The vendor said no, or said nothing that can be read."""


class AuthenticationFailed(ProviderError):
    """The provider refused the key, the account or the permission."""

    fault = "caller"


class RateLimited(ProviderError):
    """The provider asks to come back later, or the account has no slot or quota left."""

    retryable = True


class ContentFiltered(ProviderError):
    """The vendor's content rules refused the prompt, a picture or the result."""

    fault = "caller"


class GenerationFailed(ProviderError):
    """The vendor accepted the job and ended it without a video."""


class ProviderUnavailable(ProviderError):
    """The provider could not be reached, or answered with a fault of its own."""

    fault = "network"
    retryable = True


class OutcomeUnknown(ProviderError):
    """A paid submit left this machine and its answer was lost: the job may run and may be charged."""

    fault = "network"
    charged = "unknown"


class StillRunning(MultiVideoError):
    """The deadline came first; the job goes on at the vendor. `job` can be waited for again or resumed."""

    fault = "network"
    charged = "held"
    retryable = True
    _live = ("job",)

    def __init__(self, what: str, *, job: Any = None, **more: Any) -> None:
        super().__init__(what, **more)
        self.job = job


class DownloadFailed(ProviderError):
    """The video is made and charged; its file could not be fetched whole. `resume` tries again without paying."""

    fault = "network"
    charged = "yes"
    retryable = True


class DeliverableMismatch(ProviderError):
    """The file came, is kept, and is not what was ordered."""

    charged = "yes"
    _live = ("video",)

    def __init__(self, what: str, *, video: Video | None = None, **more: Any) -> None:
        super().__init__(what, **more)
        self.video = video
