"""The outside of `cadence` is as its snapshots have it: see ``golden/outside/README.md``."""

from __future__ import annotations

import difflib
from pathlib import Path

import outside
import pytest
from nightly import NIGHTLY

BY_HAND = {"README.md", "bpic2012.json"}
FILES = sorted(
    path.name for path in outside.SNAPSHOTS.iterdir() if path.is_file() and path.name not in BY_HAND
)


def difference(name: str, now: str) -> str:
    before = (outside.SNAPSHOTS / name).read_text(encoding="utf-8")
    lines = (before.splitlines(keepends=True), now.splitlines(keepends=True))
    return "".join(difflib.unified_diff(*lines, f"a/{name}", f"b/{name}"))


@pytest.mark.parametrize("name", FILES)
def test_the_outside_is_as_its_snapshot_has_it(name: str) -> None:
    now = outside.snapshots(name.partition(".")[0])
    assert name in now, f"{name} is made no more; delete it"
    found = difference(name, now[name])
    assert not found, (
        f"{found}\nif that is meant: python tests/support/{Path(outside.__file__).name} --write"
    )


@pytest.mark.parametrize("group", outside.GROUPS)
def test_every_file_of_a_group_has_a_snapshot(group: str) -> None:
    assert outside.snapshots(group).keys() <= set(FILES)


def test_the_bpi_log_is_as_its_snapshot_has_it() -> None:
    if not outside.BPI.exists():
        pytest.skip(f"no BPI log at {outside.BPI}; docs/how-to/import.md says where it is")
    if not NIGHTLY:
        pytest.skip("takes some 20 s; nightly, or by hand: python tests/support/outside.py --bpic")
    found = difference("bpic2012.json", outside.bpic2012()["bpic2012.json"])
    assert not found, found
