"""What is said, as it is seen: the conversation of a policy, what a replay proposed, and emails."""

from __future__ import annotations

import email
import email.message
import email.policy
from pathlib import Path

import msgspec
import pytest
from chromium import Browser
from said import TEAM

from cadence.cli.main import main
from cadence.domain import InterestNoted, ValueNoted
from cadence.domain.channels import EMAIL
from cadence.domain.events import ProspectUpdated, ValueKind
from cadence.engine.decision import Due
from cadence.messages import compose, to_email
from cadence.policy import builtin, builtin_names
from cadence.prover.timetable import unanswered

WITH_ADDRESS = msgspec.structs.replace(
    TEAM, owners={"ann": msgspec.structs.replace(TEAM.owners["ann"], email="ann@acme.example")}
)
HOSTILE = """Zoë <b onmouseover="window.hacked=1">O'Neil & Söhne</b>"""


def emails(policy: str, language: str) -> list[bytes]:
    """The emails of a policy to someone who is reached by email alone, as a mailer sends them."""
    facts = [
        ProspectUpdated(name=HOSTILE, language=language, owner="ann"),
        InterestNoted("the café roof & its 20 % slope"),
        *(ValueNoted(f"value-{n}", f"plan n.º {n}", ValueKind.PERSONAL) for n in range(20)),
    ]
    sent = []
    for simulation in unanswered(builtin(policy), (EMAIL,), facts=facts):
        decision = simulation.decision
        if not isinstance(decision, Due):
            break
        prospect = simulation.prospect
        composed = compose(decision, prospect, simulation.policies, simulation.now, WITH_ADDRESS)
        assert composed.touch is not None
        sent += [
            bytes(to_email(composed.touch, part, prospect, WITH_ADDRESS))
            for part in composed.touch.parts
        ]
    return sent


def parsed(raw: bytes) -> email.message.EmailMessage:
    """The email as the standard library reads it."""
    return email.message_from_bytes(
        raw, _class=email.message.EmailMessage, policy=email.policy.default
    )


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("policy", [name for name in builtin_names() if name != "tip8"])
def test_an_email_is_shown_as_it_was_written(
    browser: Browser, tmp_path: Path, policy: str, language: str
) -> None:
    sent = emails(policy, language)
    assert sent
    with browser.tab(width=390) as tab:
        for number, raw in enumerate(sent):
            read = parsed(raw)
            assert read.defects == []
            assert read.get_content_type() == "text/plain"
            body = read.get_payload(decode=True)
            assert isinstance(body, bytes)
            file = tmp_path / f"{number}.txt"
            # A page on disk has no charset; the message's own header has.
            file.write_bytes(b"\xef\xbb\xbf" + body)
            tab.open(file)
            shown = tab.run("document.body.innerText").split("\n")
            assert shown[: len(body.decode().splitlines())] == body.decode().splitlines()
            assert tab.run("window.hacked") is None
        assert any("plan n.º 1" in one.get_content() for one in map(parsed, sent))


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_conversation_of_a_policy_fits_a_phone_and_keeps_its_lines(
    browser: Browser, tmp_path: Path, width: int, language: str
) -> None:
    page = tmp_path / "policy.html"
    ask = ["policy", "show", "until-they-buy-or-say-stop", "--html", str(page)]
    assert main(["--db", str(tmp_path / "a.db"), *ask, "--language", language]) == 0
    with browser.tab(width=width) as tab:
        tab.open(page)
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert "own first attempt" in tab.run("document.querySelector('main').innerText")
        texts = tab.run("[...document.querySelectorAll('blockquote.said')].map(q => q.innerText)")
        letter = next(text for text in texts if "1 Example Street" in text)
        assert letter.startswith("Acme\n1 Main Street, Oldtown, NY 10001\n\nJane Smith\n")
        # What is said where they answer is folded away, and opens.
        height = "document.querySelector('details').clientHeight"
        folded = tab.run(height)
        tab.run("document.querySelector('details summary').click()")
        assert tab.run(height) > 3 * folded
        assert tab.complaints() == []


def test_a_replay_shows_subject_and_text_of_an_email_and_both_forms_of_a_call(
    browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "cadence.toml").write_text(
        'company = "Acme"\n[owners.ann]\nname = "Ann Lee"\n', encoding="utf-8"
    )
    db, page = ["--db", str(tmp_path / "a.db")], tmp_path / "replay.html"
    add = ["add", "jo", "--name", "Jo Lind", "--timezone", "UTC", "--owner", "ann"]
    at = "2026-12-01T08:00:00Z"
    assert main([*db, *add, "--call", "+12125550100", "--at", at]) == 0
    assert main([*db, "appoint", "jo", "2026-12-01T09:00:00Z", "--at", at]) == 0
    sent = ["attempt", "kim", "--channel", "email", "--disposition", "sent"]
    add[1:4] = ["kim", "--name", "Kim Ray"]
    assert main([*db, *add, "--email", "kim@example.com", "--at", at]) == 0
    assert main([*db, *sent, "--at", "2026-12-01T09:00:00Z"]) == 0
    under = ["--policy", "until-they-buy-or-say-stop"]
    with browser.tab(width=390) as tab:
        for ask, words in (
            (["jo"], ("(call, voicemail)", "(call, if they answer)", "Ask: ", "is Ann Lee from")),
            (["kim", *under], ("(email)", "Subject: A note from Acme", "Kind regards,\nAnn Lee")),
        ):
            assert main([*db, "replay", *ask, "--html", str(page)]) == 0
            tab.open(page)
            shown = tab.run("document.getElementById('panel').innerText")
            assert [one for one in words if one not in shown] == []
            assert tab.run("document.documentElement.scrollWidth") <= 390
            assert tab.complaints() == []
