"""What the policy commands draw in a window of any width, and what they print into a pipe."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import policies
import pytest
from adoption_cases import AT, OURS, REFUTED, in_silence
from command_line import CADENCE, Cli
from hypothesis import given
from hypothesis import strategies as st
from terminals import WIDTHS, Terminal, bare, shown

from cadence.cli import policy_layout, terminal
from cadence.cli.policy_layout import wide
from cadence.policy import builtin, builtin_names
from cadence.policy.writer import to_toml
from cadence.prover.timetable import timetable
from cadence.store import Cadence

PROMISED = "nothing was changed; move them with:"


def words(text: str) -> Counter[str]:
    """The words, whatever stands between them."""
    return Counter(word.rstrip(":") for word in text.split())


def squeezed(text: str) -> str:
    return "".join(text.split())


def without_commands(text: str) -> list[str]:
    """The lines, apart from those to be copied, which are in one piece at any width."""
    copied = ("play it:", "keep the first history:", PROMISED, "cadence ")
    return [line for line in text.splitlines() if not line.startswith(copied)]


def nothing_overflows_and_no_word_is_lost(width: int, drawn: str, piped: str) -> None:
    lines = without_commands(bare(drawn))
    assert [line for line in lines if wide(line) > width] == []
    lost = words("\n".join(without_commands(piped))) - words("\n".join(lines))
    assert set(lost) <= {word for word in lost if wide(word) > width // 2}, lost
    for word in lost:  # one that is too long for a line is broken
        assert squeezed(word) in squeezed("\n".join(lines))


def without_picture(text: str) -> str:
    head, _, *rest = bare(text).split("\n\n")
    return "\n\n".join([head, *rest])


# Show ---------------------------------------------------------------------------------------------


@cache
def drawn_of(name: str, width: int) -> str:
    """What ``policy show`` draws."""
    with pytest.MonkeyPatch.context() as patch:
        code, drawn = shown(patch, width, "policy", "show", name)
    assert code == 0
    return drawn


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", builtin_names())
def test_a_policy_is_shown_in_any_window(raw: Cli, name: str, width: int) -> None:
    piped = raw("policy", "show", name)
    drawn = drawn_of(name, width)
    assert "\x1b[" in drawn
    assert all(wide(line) <= width for line in bare(drawn).splitlines())
    # A picture is drawn to the width; everything else says the same.
    nothing_overflows_and_no_word_is_lost(width, without_picture(drawn), without_picture(piped.out))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", builtin_names())
def test_each_touch_of_a_timetable_has_day_time_channels_and_gap_at_any_width(
    name: str, width: int
) -> None:
    lines = bare(drawn_of(name, width)).splitlines()
    starts = [n for n, line in enumerate(lines) if re.match(r" *\d+  \d\d:\d\d  ", line)]
    entries = list(timetable(builtin(name)))
    assert len(starts) == len(entries)
    for entry, start, after in zip(entries, starts, [*starts[1:], starts[-1] + 1], strict=True):
        said = " ".join(" ".join(lines[start:after]).split())
        day, at, step, *rest = said.split(" ", 3)
        assert (int(day), at, step) == (entry.business_day, entry.at, entry.step)
        more = " ".join(rest).replace("channels: ", "").replace("after: ", "")
        assert more == " ".join([", ".join(entry.channels), entry.gap]).strip()


@pytest.mark.parametrize("width", [20, 30, *WIDTHS])
def test_the_whole_digest_is_shown_at_any_width(raw: Cli, width: int) -> None:
    digest = builtin("are-you-ok").digest
    assert len(digest) == 64
    assert f"digest: {digest}\n" in raw("policy", "show", "are-you-ok").out
    drawn = bare(drawn_of("are-you-ok", width))
    assert f"digest:{digest}" in squeezed(drawn)
    assert all(wide(line) <= width for line in bare(drawn).splitlines())
    if width >= 80:
        assert f"digest: {digest}\n" in drawn


@pytest.mark.parametrize("width", WIDTHS)
def test_long_names_wide_letters_and_many_channels_stay_within_the_window(
    raw: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    def change(plain: policies.Raw) -> None:
        plain.update(title="四つの電話 " * 12, source="s" * 90)
        plain["steps"][3]["id"] = "x" * 60
        plain["steps"][3]["parts"] = [
            {"channels": [channel], "script": "spaced"}
            for channel in ("call", "email", "sms", "mail", "video_email")
        ]
        plain["guards"] = [{"kind": "frequency_cap", "id": "g" * 40, "attempts": 3, "days": 2}]

    policy = policies.changed(OURS, change)
    (folder / "long.toml").write_text(to_toml(policy), encoding="utf-8")
    piped = raw("policy", "show", "long.toml")
    assert piped.code == 0, piped
    _, drawn = shown(monkeypatch, width, "policy", "show", "long.toml")
    nothing_overflows_and_no_word_is_lost(width, without_picture(drawn), without_picture(piped.out))
    assert all(wide(line) <= width for line in bare(drawn).splitlines())


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_shown_fits_a_real_terminal(folder: Path, width: int) -> None:
    terminal = Terminal(folder, "policy", "show", "voicemail-and-email", columns=width)
    assert terminal.end() == 0
    assert "\x1b[" in terminal.text
    said = bare(terminal.text)
    assert all(wide(line) <= width for line in bare(said).splitlines())
    assert f"digest:{builtin('voicemail-and-email').digest}" in squeezed(said)
    assert "last_opportunity" in said


# Check, diff, list, adopt -------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("check", "tip8"),
        ("check", "voicemail-and-email"),
        ("check", "seven.toml"),
        ("diff", "tip8", "are-you-ok"),
        ("diff", "tip8", "voicemail-and-email"),
        ("diff", "tip8", "ours.toml"),
        ("diff", "tip8", "tip8"),
    ],
    ids=" ".join,
)
def test_every_command_keeps_within_any_window(
    raw: Cli,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    width: int,
) -> None:
    (folder / "seven.toml").write_text(to_toml(REFUTED), encoding="utf-8")
    (folder / "ours.toml").write_text(to_toml(OURS), encoding="utf-8")
    piped = raw("policy", *arguments)
    code, drawn = shown(monkeypatch, width, "policy", *arguments)
    assert code == piped.code
    nothing_overflows_and_no_word_is_lost(width, drawn, piped.out)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_preview_keeps_within_any_window(
    raw: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    (folder / "ours.toml").write_text(to_toml(OURS), encoding="utf-8")
    with Cadence.open("cadence.db") as app:
        in_silence(app, "kim", "a name that is much longer than the others are", "x" * 70)
    arguments = ("policy", "adopt", "ours.toml", "--all", "--at", AT)
    piped = raw(*arguments)
    assert piped.code == 0, piped
    _, drawn = shown(monkeypatch, width, *arguments)
    nothing_overflows_and_no_word_is_lost(width, drawn, piped.out)


# Piped --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("show", "tip8"), ("check", "tip8")])
def test_piped_output_has_no_escape_code_and_ignores_the_width_of_a_window(
    arguments: tuple[str, ...],
) -> None:
    said = set()
    for columns in ("40", "200"):
        environment = {**os.environ, "COLUMNS": columns, "TERM": "xterm-256color"}
        done = subprocess.run(
            [CADENCE, "policy", *arguments], env=environment, capture_output=True, check=True
        )
        assert done.stderr == b""
        said.add(done.stdout.decode())
    [text] = said
    assert "\x1b" not in text


# Folding ------------------------------------------------------------------------------------------

_WORDS = st.lists(st.text("abc四é●\u0301", min_size=1, max_size=50), max_size=12)


@given(_WORDS, st.integers(20, 90), st.integers(0, 30), st.none() | st.integers(0, 40))
def test_a_line_is_folded_to_the_width_and_says_the_same(
    said: list[str], width: int, margin: int, indent: int | None
) -> None:
    line = " " * margin + " ".join(said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_layout, "columns", lambda: width)
        found = list(policy_layout.folded([line], indent))
        painted = list(policy_layout.folded([terminal.paint(line, "bold")], indent))
    assert all(wide(one) <= width for one in (*found, *painted))
    assert squeezed("".join(found)) == squeezed(line)
    assert squeezed(terminal.bare("".join(painted))) == squeezed(line)
    if all(wide(word) <= width // 2 for word in said):
        assert " ".join(" ".join(found).split()) == " ".join(line.split())


@given(
    st.lists(st.tuples(*[st.text("ab c四", max_size=30)] * 4), max_size=5),
    st.integers(20, 140) | st.none(),
    st.integers(1, 3),
)
def test_a_table_keeps_every_cell_within_the_width(
    rows: list[tuple[str, ...]], width: int | None, lead: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_layout, "columns", lambda: width)
        lines = list(policy_layout.table(("one", "two", "three", "four"), rows, lead=lead))
    assert width is None or all(wide(line) <= width for line in lines)
    text = squeezed("".join(lines))
    for row in rows:
        for cell in row:
            assert squeezed(cell) in text
