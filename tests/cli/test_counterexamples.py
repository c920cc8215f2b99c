"""The history on which a policy fails: its heading says how, and it is played as it is printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import paths
import pytest
from command_line import Cli

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import AttemptMade, ContactPointAdded
from cadence.policy.loader import parse
from cadence.prover.simulation import Scenario, Simulation, beginnings

BAD = paths.TESTS / "bad_policies"
ATTEMPT = re.compile(r"^ +\d+  \w{3} [0-9-]{10} [0-9:]{5}  AttemptMade  .*", re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("cap_by_times", ": the engine skips what the policy plans (spaced#7):"),
        (
            "frequency_spaced_by_hours",
            ": the attempt of event 3, made when it is planned, breaks the rule:",
        ),
        ("concern_twice", ": the engine skips what the policy plans ("),
    ],
)
def test_a_counterexample_is_played_by_the_commands_as_they_are_printed(
    raw: Cli, folder: Path, name: str, how: str
) -> None:
    (folder / "bad policy.toml").write_bytes((BAD / f"{name}.toml").read_bytes())
    checked = raw("policy", "check", "bad policy.toml")
    assert checked.code == 1
    assert f"fails on this history, the shortest found{how}" in checked.out
    commands = []
    for title in ("keep the first history:", "play it:"):
        (line,) = [one for one in checked.out.splitlines() if one.startswith(title)]
        commands += line.removeprefix(title).split("&&")
    done = None
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "cadence"
        done = raw(*arguments)
        assert done.code == (1 if "check" in arguments else 0), done
    assert done is not None
    shown = [line.strip() for line in ATTEMPT.findall(checked.out)]
    assert len(shown) > 1
    assert [line.strip() for line in ATTEMPT.findall(done.out)] == shown


def test_the_heading_names_a_few_of_many_skipped_touches(raw: Cli) -> None:
    checked = raw("policy", "check", BAD / "exit_nurture_behind_it.toml")
    assert re.search(r"skips what the policy plans \(\S+, \S+, \S+ and \d+ more\):", checked.out)


def test_a_touch_that_is_skipped_on_one_history_alone_is_not_called_never_made(
    raw: Cli, folder: Path
) -> None:
    """The cap counts calls: where the silence began with an email, the seventh touch is made."""
    nine = (BAD / "cap_by_times.toml").read_text().replace("times = 7", "times = 9")
    (folder / "nine.toml").write_text(nine)
    checked = raw("policy", "check", "nine.toml").out
    assert "skips what the policy plans (spaced#7, spaced#8, spaced#9)" in checked
    assert re.findall("never made: (.*?) ", checked) == ["spaced#8", "spaced#9"]
    policy = parse(folder / "nine.toml")
    played = Simulation(policy, Scenario({EMAIL}, beginnings(policy)[0]))
    played.record(ContactPointAdded(CALL, "+1 212 555 0100"), played.now)
    steps = []
    while played.wait().touch is not None:
        played.make()
        made = played.events[-1].data
        assert isinstance(made, AttemptMade)
        assert made.broke == ()
        steps.append(made.step)
    assert steps[-2:] == ["spaced#7", "polite_exit"]
