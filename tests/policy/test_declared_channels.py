"""Channels that a policy declares are taken everywhere, and are in no other policy's way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

from cadence.audit.runner import auditor
from cadence.cli.main import main
from cadence.domain.channels import AddressKind, Channel
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    Disposition,
    OptOutRequested,
    Part,
    PolicyAdopted,
    ProspectAdded,
)
from cadence.engine.commands import MakeAttempt
from cadence.engine.decision import Due
from cadence.errors import PolicyError
from cadence.policy.loader import builtin, parse_text
from cadence.policy.model import Policy
from cadence.policy.writer import to_toml
from cadence.prover.proof import prove
from cadence.prover.timetable import timetable
from cadence.store import Cadence

WHATSAPP, VOICE = Channel("whatsapp"), Channel("voice_note")
MONDAY = datetime(2026, 11, 2, 15, tzinfo=UTC)
TIP8 = resources.files("cadence.policy").joinpath("builtin", "tip8.toml").read_text("utf-8")
DECLARED = """
[channels.whatsapp]
address = "phone"

[channels.voice_note]
address = "phone"
spoken = true

[channels.mail]
used = false
"""


def ours(*changes: tuple[str, str], declared: str = DECLARED) -> Policy:
    text = TIP8.replace('id = "tip8"', 'id = "ours"') + declared
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_text(text, "ours.toml")


def with_whatsapp() -> Policy:
    """tip8 with WhatsApp in place of the spaced calls."""
    text = TIP8.replace('id = "tip8"', 'id = "ours"')
    head, spaced, rest = text.partition('id = "spaced"')
    rest = rest.replace('"call"', '"whatsapp"', 1)
    return parse_text(head + spaced + rest + DECLARED, "ours.toml")


def test_a_policy_knows_its_own_channels_beside_the_built_in_ones() -> None:
    policy = ours()
    assert policy.traits[WHATSAPP].address is AddressKind.PHONE
    assert policy.spoken == {"call", "voice_note"}
    assert policy.usable == {"call", "email", "sms", "video_email", "whatsapp", "voice_note"}
    assert parse_text(to_toml(policy), "again.toml") == policy
    assert parse_text(to_toml(policy), "again.toml").digest == policy.digest
    assert policy.digest != builtin().digest


@pytest.mark.parametrize(
    ("declared", "what"),
    [
        ("[channels.whatsapp]\n", "channels.whatsapp.address: missing"),
        ('[channels.whatsapp]\naddress = "fax"\n', 'channels.whatsapp.address: invalid "fax"'),
        ('[channels.Whatsapp]\naddress = "phone"\n', "channels"),
        ("[channels.call]\nspoken = true\n", "channels.call: invalid"),
        ('channels = ["whatsapp"]\n', "channels"),
    ],
)
def test_a_declaration_that_says_too_little_or_too_much_is_named(declared: str, what: str) -> None:
    base = to_toml(builtin())
    text = declared + base if declared.startswith("channels") else base + declared
    with pytest.raises(PolicyError) as caught:
        parse_text(text, "ours.toml")
    assert what in caught.value.what
    assert caught.value.hint


def test_a_channel_that_is_not_declared_is_unknown_and_the_hint_says_how() -> None:
    with pytest.raises(PolicyError) as caught:
        ours(('channels = ["call"]', 'channels = ["pigeon"]'), declared="")
    assert 'invalid "pigeon"' in caught.value.what
    assert "[channels.pigeon]" in caught.value.hint


def test_a_policy_with_its_own_channel_is_proved_and_has_a_timetable() -> None:
    policy = with_whatsapp()
    assert prove(policy).proved
    used = {channel for entry in timetable(policy) for channel in entry.channels}
    assert WHATSAPP in used


def test_a_spoken_channel_of_the_policys_own_counts_as_a_call() -> None:
    seven = ours(("times = 6", "times = 7"), ('["call"]', '["voice_note"]'))
    proof = prove(seven)
    assert not proof.proved
    broken = [one for one in proof.rules if not one.proved]
    assert [one.rule for one in broken] == ["spaced_cap"]
    history = broken[0].counterexample
    assert history is not None
    spoken = [e.data for e in history if isinstance(e.data, AttemptMade)]
    assert all(part.spoken for data in spoken for part in data.parts if part.channel == VOICE)


def test_what_was_made_on_it_is_recorded_refused_and_audited() -> None:
    policy = with_whatsapp()
    points = (ContactPoint(WHATSAPP, "(212) 555-0100"), ContactPoint(Channel("call"), "2125550100"))
    added = ProspectAdded("Jo", "America/New_York", "US", contact_points=points)
    with Cadence.open(default=policy, use_unproved_policies=True) as app:
        app.execute("jo", added, at=MONDAY)
        app.execute(
            "jo", MakeAttempt((Part(WHATSAPP, Disposition.SENT),), is_strict=True), at=MONDAY
        )
        later = MONDAY + timedelta(days=3)
        decision = app.explain("jo", later)
        assert isinstance(decision, Due)
        assert [part.channel for part in decision.touch.parts] == [WHATSAPP]
        app.execute("jo", OptOutRequested(WHATSAPP), at=later)
        left = app.explain("jo", later)
        assert left.touch is None or WHATSAPP not in [part.channel for part in left.touch.parts]
        made = MakeAttempt((Part(WHATSAPP, Disposition.SENT),), "he asked for it")
        outcome = app.execute("jo", made, at=later)
        (event,) = outcome.events
        assert isinstance(event.data, AttemptMade)
        assert "opt_out" in event.data.broke
        assert event.data.parts[0].spoken is False
        found = auditor(app.policies, [policy]).audit(app.history("jo"))
        assert "opt_out" in [one.rule for one in found]


def test_what_a_policy_does_not_know_is_kept_and_never_in_the_way() -> None:
    points = (ContactPoint(WHATSAPP, "+12125550100"), ContactPoint(Channel("call"), "+12125550100"))
    added = ProspectAdded("Jo", "America/New_York", "US", contact_points=points)
    policy = ours()
    with Cadence.open(default=policy, use_unproved_policies=True) as app:
        app.execute("jo", added, at=MONDAY)
        spoken = Part(VOICE, Disposition.NO_ANSWER, "+12125550100")
        app.execute("jo", MakeAttempt((spoken,), "as agreed"), at=MONDAY)
        tip8 = builtin().ref
        moved = PolicyAdopted(tip8.name, tip8.version, tip8.digest)
        outcome = app.execute("jo", moved, at=MONDAY + timedelta(hours=1))
        assert outcome.prospect.silence.spaced_calls == 1
        decision = app.explain("jo", MONDAY + timedelta(days=9))
        assert decision.touch is not None
        assert [part.channel for part in decision.touch.parts] == ["call"]


def test_the_command_line_takes_it_and_refuses_a_slip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ours.toml").write_text(to_toml(with_whatsapp()))

    def cli(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--db", str(tmp_path / "c.db"), "--at", "2026-11-02T15:00:00Z"])
        out, err = capsys.readouterr()
        return code, out, err

    added = ("add", "jo", "--name", "Jo", "--timezone", "America/New_York", "--country", "US")
    assert cli("add", "kim", *added[2:], "--call", "+12125550101")[0] == 0
    assert cli("settings", "default_policy", str(tmp_path / "ours.toml"), "--by", "kim")[0] == 0
    code, _, err = cli(*added, "--reach", "whatsap=(212) 555 0100")
    assert (code, err.splitlines()) == (
        2,
        ["cadence: channel: unknown 'whatsap'", "use whatsapp"],
    )
    assert cli(*added, "--reach", "whatsapp=(212) 555 0100")[0] == 0
    assert cli("attempt", "jo", "--channel", "whatsapp", "--disposition", "sent")[0] == 0
    code, out, _ = cli("export", "-")
    parts = [json.loads(line)["data"].get("parts") for line in out.splitlines()]
    assert [one for one in parts if one] == [
        [
            {
                "channel": "whatsapp",
                "disposition": "sent",
                "address": "(212) 555 0100",
                "key": "+12125550100",
                "spoken": False,
            }
        ]
    ]
    assert cli("opt-out", "jo", "--channel", "whatsapp")[0] == 0
    # Another prospect's policy does not know it, and most likely it is a slip.
    assert cli("opt-out", "kim", "--channel", "whatsapp")[0] == 2
