"""Numbers and their nouns."""

from __future__ import annotations

import re

import paths
import pytest

from cadence.domain.plurals import plural


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 days"), (1, "1 day"), (2, "2 days"), (2000, "2,000 days")]
)
def test_a_number_of_one_has_the_word_for_one(count: int, said: str) -> None:
    assert plural(count, "day") == said


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert plural(1, "touch", "touches") == "1 touch"
    assert plural(3, "touch", "touches") == "3 touches"


def test_what_was_said_on_every_occasion_counts_one_as_one() -> None:
    """The golden files hold what the commands print for hundreds of histories."""
    nouns = "attempts|calls|days|events|hours|minutes|parts|prospects|touches|findings"
    wrong = re.compile(rf"(?<![\d.,#-])1 (business |spaced )?({nouns})\b")
    folder = paths.TESTS / "golden" / "outside"
    found = [
        (path.name, line.strip()[:90])
        for path in sorted(folder.glob("*.*"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if wrong.search(line)
    ]
    assert found == []
