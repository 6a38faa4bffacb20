"""What an error says, line by line and by attributes, and what of it goes to another process."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

import multivideo as mv
from multivideo import errors
from multivideo.errors import InvalidRequest, MultiVideoError, Problem, UnsupportedFeature

CLASSES = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MultiVideoError)
]  # a class that is added is tested too
EVERYTHING: dict[str, Any] = {
    "asked": "duration=7",
    "allowed": "4, 6 or 8 s",
    "hint": "duration=6",
    "cost": "no, nothing was sent",
    "field": "duration",
    "fault": "network",
    "charged": "held",
    "charge": mv.usd("3.20"),
    "retryable": True,
    "retry_after": 2.5,
    "job_id": "mv-1",
    "attempt_id": "mv-1-1",
    "provider": "vertex",
    "request_id": "req-9",
    "step": "submit",
}


def test_everything_that_is_exported_is_an_error_or_a_word_about_one() -> None:
    assert {kind.__name__ for kind in CLASSES} <= set(errors.__all__)
    assert {kind.__name__ for kind in CLASSES} <= set(mv.__all__)


@pytest.mark.parametrize(
    ("kind", "parents", "fault", "charged", "retryable"),
    [
        (mv.InvalidRequest, (ValueError,), "caller", "no", False),
        (mv.UnsupportedFeature, (mv.InvalidRequest, ValueError), "caller", "no", False),
        (mv.NoRoute, (), "caller", "no", False),
        (mv.NoProviderConfigured, (), "caller", "no", False),
        (mv.InsufficientCredits, (), "caller", "no", False),
        (mv.BudgetExceeded, (), "caller", "no", False),
        (mv.LedgerError, (), "caller", "no", False),
        (mv.ProviderError, (), "provider", "no", False),
        (mv.AuthenticationFailed, (mv.ProviderError,), "caller", "no", False),
        (mv.RateLimited, (mv.ProviderError,), "provider", "no", True),
        (mv.ContentFiltered, (mv.ProviderError,), "caller", "no", False),
        (mv.GenerationFailed, (mv.ProviderError,), "provider", "no", False),
        (mv.ProviderUnavailable, (mv.ProviderError,), "network", "no", True),
        (mv.OutcomeUnknown, (mv.ProviderError,), "network", "unknown", False),
        (mv.StillRunning, (), "network", "held", True),
        (mv.DownloadFailed, (mv.ProviderError,), "network", "yes", True),
        (mv.DeliverableMismatch, (mv.ProviderError,), "provider", "yes", False),
    ],
)
def test_each_kind_knows_whose_fault_it_is_what_it_cost_and_whether_to_try_again(
    kind: type[MultiVideoError], parents: tuple[type[Exception], ...], fault: str, charged: str, retryable: bool
) -> None:
    error = kind("It went wrong.")
    assert (error.fault, error.charged, error.retryable) == (fault, charged, retryable)
    assert all(issubclass(kind, parent) for parent in parents)
    assert issubclass(kind, ValueError) == (ValueError in parents)


def test_an_error_prints_every_line_that_it_has_and_no_other() -> None:
    assert str(mv.RateLimited("Kling asks to wait.")) == "Kling asks to wait.\n  charged: no"
    full = str(mv.GenerationFailed("It went wrong.", **{**EVERYTHING, "cost": ""}))
    assert full.splitlines() == [
        "It went wrong.",
        "  asked:   duration=7",
        "  allowed: 4, 6 or 8 s",
        "  next:    duration=6",
        "  charged: held until the outcome is known, 320 credits (3.20 USD)",
        "  where:   provider vertex, job mv-1, request req-9",
    ]


def test_a_text_about_the_cost_stands_instead_of_the_usual_one() -> None:
    error = mv.GenerationFailed("It went wrong.", charge=mv.usd(1), cost="unknown, assumed: 100 credits")
    assert "  charged: unknown, assumed: 100 credits" in str(error).splitlines()


@pytest.mark.parametrize(("charged", "text"), [("no", "no"), ("yes", "yes"), ("unknown", "unknown")])
def test_what_it_cost_is_said_in_a_word(charged: errors.Charged, text: str) -> None:
    assert str(MultiVideoError("x", charged=charged)) == f"x\n  charged: {text}"


def test_one_problem_is_the_error_and_several_are_counted_and_all_named() -> None:
    one = InvalidRequest.of([Problem("fps", "-1", "a whole number from 1 to 240")])
    assert str(one).splitlines() == [
        "fps cannot be -1.",
        "  asked:   fps=-1",
        "  allowed: a whole number from 1 to 240",
        "  charged: no, nothing was sent",
    ]
    two = InvalidRequest.of(
        [
            Problem("fps", "-1", "1 to 240", hint="leave it out"),
            Problem("seed", "1.5", "0 or more", "ignored", "seed=1"),
        ]
    )
    assert str(two).splitlines() == [
        "2 things in this request cannot be: fps, seed.",
        "  asked:   fps=-1, seed=1.5",
        "  allowed: fps: 1 to 240; seed: 0 or more",
        "  next:    leave it out; seed=1",
        "  charged: no, nothing was sent",
    ]
    assert (two.field, [p.field for p in two.problems], two.fault) == ("fps", ["fps", "seed"], "caller")


def test_the_first_line_of_problems_can_be_given() -> None:
    problem = Problem("ref", "junk", "a reference", "unused")
    assert InvalidRequest.of([problem], what="It cannot be read.", provider="kling").what == "It cannot be read."
    assert InvalidRequest.of([problem, problem], what="It cannot be read.").what == "It cannot be read."


def test_what_a_model_cannot_do_happened_nowhere_unless_there_was_a_job() -> None:
    assert "where" not in str(UnsupportedFeature("veo-3.1 cannot.", provider="vertex"))
    assert "  where:   job mv-1" in str(UnsupportedFeature("veo-3.1 cannot.", provider="vertex", job_id="mv-1"))


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickling_and_copying_with_all_it_says(kind: type[MultiVideoError]) -> None:
    error = kind("It went wrong.", **EVERYTHING)
    if isinstance(error, InvalidRequest):
        error.problems = (Problem("duration", "7", "4, 6 or 8 s"),)
    error.add_note("in the third scene")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize(
    ("kind", "name"), [(mv.NoRoute, "plan"), (mv.StillRunning, "job"), (mv.DeliverableMismatch, "video")]
)
def test_a_live_object_stays_in_its_process(kind: Callable[..., MultiVideoError], name: str) -> None:
    live = threading.Lock()  # nothing that pickles
    error = kind("It went wrong.", **{name: live})
    assert getattr(error, name) is live
    assert getattr(copy.copy(error), name) is live
    assert getattr(pickle.loads(pickle.dumps(error)), name) is None


def test_a_duration_that_veo_cannot_make_is_refused_as_the_manual_shows_it() -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        mv.AsyncClient.sandbox().quote("a fox in snow", model="veo-3.1", duration=7)
    assert str(caught.value).splitlines() == [
        "veo-3.1 cannot make a 7 s clip.",
        '  asked:   duration=7, resolution="720p"',
        "  allowed: 4, 6 or 8 s at 720p; 8 s at 1080p and 4k (Vertex AI model card, read 2026-09-02)",
        "  next:    duration=6 or 8, or leave model out: kling-3.0@kling, kling-3.0-omni@kling or "
        "kling-3.0-turbo@kling can make it",
        "  charged: no, nothing was sent",
    ]
    assert (caught.value.field, caught.value.provider, caught.value.charged) == ("duration", "vertex", "no")
