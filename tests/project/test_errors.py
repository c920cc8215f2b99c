"""Every error has a code for programs, and is the same in another process."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import paths
import pytest

import cadence
from cadence import errors
from cadence.errors import CadenceError, Refused, UnknownProspect, VersionConflict
from cadence.transfer.importer import ImportRefused
from cadence.transfer.source import BadLine

CODES = {
    "CadenceError": ("error", 1, False, 500),
    "Conflict": ("conflict", 1, True, 503),
    "ImportRefused": ("import_refused", 2, False, 422),
    "InputError": ("invalid_input", 2, False, 422),
    "InvalidJson": ("invalid_json", 2, False, 400),
    "InvalidStore": ("invalid_store", 2, False, 500),
    "MappingError": ("invalid_mapping", 2, False, 422),
    "PolicyError": ("invalid_policy", 2, False, 422),
    "Refused": ("refused", 1, False, 409),
    "ExecutorFailed": ("executor_failed", 1, True, 503),
    "StoreBusy": ("store_busy", 1, True, 503),
    "StoreError": ("store_failed", 1, False, 500),
    "UnknownProspect": ("unknown_prospect", 2, False, 404),
    "UnprovedPolicy": ("unproved_policy", 1, False, 422),
    "VersionConflict": ("version_conflict", 1, False, 412),
}
"""What programs rely on. A class may be added; none of these may change."""


def every_class() -> list[type[CadenceError]]:
    for module in pkgutil.walk_packages(cadence.__path__, "cadence."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    def below(kind: type[CadenceError]) -> Iterator[type[CadenceError]]:
        yield kind
        for one in kind.__subclasses__():
            yield from below(one)

    return [one for one in below(CadenceError) if one.__module__.startswith("cadence.")]


def test_every_error_class_has_a_code_of_its_own_that_never_changes() -> None:
    public = [one for one in every_class() if not one.__name__.startswith("_")]
    found = {
        one.__name__: (one.code, one.exit_code, one.retryable, one.http_status) for one in public
    }
    assert found == CODES
    assert len({one.code for one in public}) == len(public)
    assert all("code" in vars(one) for one in public)
    assert all(re.fullmatch("[a-z_]+", one.code) for one in public)


def test_the_page_of_http_errors_has_a_row_for_every_error_class() -> None:
    page = (paths.ROOT / "docs/how-to/http-errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\d+) \| (yes|no) \|", page, re.MULTILINE)
    assert {name: (code, int(status), again == "yes") for name, code, status, again in rows} == {
        name: (code, status, again) for name, (code, _, again, status) in CODES.items()
    }
    assert len(rows) == len(CODES)


@pytest.mark.parametrize("kind", every_class(), ids=lambda one: one.__name__)
def test_a_status_says_unavailable_exactly_where_the_same_call_may_succeed_later(
    kind: type[CadenceError],
) -> None:
    assert (kind.http_status == 503) == kind.retryable
    assert 400 <= kind.http_status < 600


def test_the_module_of_errors_exports_every_class_that_it_defines() -> None:
    defined = {one.__name__ for one in every_class() if one.__module__ == errors.__name__}
    assert defined <= set(errors.__all__)


def test_what_programs_read_belongs_to_the_class_and_not_to_the_error() -> None:
    refused = Refused("a", "b", rule="gap")
    for name in ("code", "exit_code", "retryable", "http_status"):
        assert name not in vars(refused)


@pytest.mark.parametrize("kind", every_class())
def test_an_error_of_any_class_is_the_same_in_another_process(kind: type[CadenceError]) -> None:
    error: CadenceError
    if issubclass(kind, UnknownProspect):
        error = kind("kim")
    elif issubclass(kind, Refused):
        error = kind("a", "b", rule="gap", until=datetime(2026, 11, 2, 9, tzinfo=UTC))
    else:
        # Some take other arguments; all have these two.
        error = kind.__new__(kind)
        CadenceError.__init__(error, "a", "b")
        if kind.__name__ == "ImportRefused":
            error.__dict__["lines"] = []
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))
    assert (again.code, again.exit_code, again.retryable) == (
        kind.code,
        kind.exit_code,
        kind.retryable,
    )


HOSTILE = "a\x1b]0;x\x07\x1b[31m\u202e\u2028\r\nFAKE\x9b"


@pytest.mark.parametrize("kind", every_class(), ids=lambda one: one.__name__)
def test_no_error_holds_a_line_break_or_a_control_character(kind: type[CadenceError]) -> None:
    if kind is UnknownProspect:
        error: CadenceError = kind(HOSTILE)
    elif kind is VersionConflict:
        error = kind(HOSTILE, 7, 5)
    elif issubclass(kind, Refused):
        error = kind(HOSTILE, HOSTILE, rule="gap")
    elif issubclass(kind, ImportRefused):
        error = kind([BadLine(1, HOSTILE, HOSTILE)])
    else:
        error = kind(HOSTILE, HOSTILE)
    assert all(map(str.isprintable, error.details()))
    assert error.what.isprintable()
    assert error.hint.isprintable()
    assert str(error) == "\n".join([error.what, *error.details(), error.hint])
