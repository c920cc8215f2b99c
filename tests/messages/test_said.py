"""What a policy says to a sample prospect, and emails as mailers read them."""

from __future__ import annotations

import email
import email.policy
from datetime import timedelta

import msgspec
import pytest
from said import TEAM

from cadence.domain import InterestNoted, ValueNoted
from cadence.domain.channels import CHANNELS
from cadence.domain.events import AttemptMade, Data, ProspectUpdated, ValueKind
from cadence.domain.team import Team
from cadence.engine.decision import Due, Wait
from cadence.engine.next_touch import lacks_value
from cadence.messages import Form, builtin_languages, compose, sms_parts
from cadence.messages.conversation import conversation
from cadence.messages.email import to_email
from cadence.policy import builtin, builtin_names
from cadence.policy.touch import TouchPart
from cadence.prover.timetable import unanswered

SECRET = "he drinks; gatekeeper is rude"


def said_to(name: str, known: list[Data], team: Team) -> list[tuple[Due, TouchPart, str]]:
    """Every part that a policy says to somebody, and when the plan goes on after it."""
    found: list[tuple[Due, TouchPart, str]] = []
    for simulation in unanswered(builtin(name), facts=known):
        decision = simulation.decision
        if not isinstance(decision, Due):
            break
        composed = compose(decision, simulation.prospect, simulation.policies, simulation.now, team)
        assert isinstance(composed, Due)
        if lacks_value(simulation.prospect, composed):
            assert [part.text for part in composed.touch.parts] == [""] * len(composed.touch.parts)
            continue
        found += [(composed, part, part.text) for part in composed.touch.parts]
    return found


@pytest.mark.parametrize("name", builtin_names())
def test_what_is_promised_is_what_the_plan_does_next(name: str) -> None:
    """Each day that a text names is that of the touch or the end that follows it."""
    steps = list(conversation(builtin(name)))
    ends = [one.at for one in steps[1:]]
    for one, following in zip(steps, ends, strict=False):
        for part in one.parts:
            if "again on " in part.text or "again today" in part.text:
                day = f"{following:%A, %B} {following.day}"
                assert day in part.text or f"today at {following:%-I:%M}" in part.text


def test_values_are_said_once_each_and_then_what_they_care_about() -> None:
    said = [part.text for one in conversation(builtin("tip8")) for part in one.parts]
    assert sum("a drawing of a barn" in text for text in said) == 1
    assert sum("an article about sailing" in text for text in said) == 1
    assert "This made me think of you: an article about sailing" in said[4]


@pytest.mark.parametrize("language", builtin_languages())
@pytest.mark.parametrize("name", builtin_names())
def test_a_text_message_to_a_usual_prospect_takes_one_part(name: str, language: str) -> None:
    for one in conversation(builtin(name), language):
        for part in one.parts:
            if part.form == Form.SMS:
                assert sms_parts(part.text) == 1, part.text


@pytest.mark.parametrize("name", builtin_names())
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_conversation_on_one_channel_is_in_its_form(name: str, channel: str) -> None:
    forms = {"call": "voicemail", "mail": "letter", "video_email": "email"}
    steps = list(conversation(builtin(name), channels=(channel,)))  # type: ignore[arg-type]
    # Nothing is written for the owner's own first attempt.
    assert [one.step for one in steps if not one.parts] == [
        one.step for one in steps[:1] if not one.parts
    ]
    assert {part.form for one in steps for part in one.parts} <= {forms.get(channel, channel)}


def test_an_email_is_read_by_the_standard_library_and_answers_to_the_first_one() -> None:
    steps = [
        (simulation.decision, simulation.prospect, simulation.policies, simulation.now)
        for simulation in unanswered(
            builtin("polite-persistence"),
            ("email",),  # type: ignore[arg-type]
            facts=[
                ProspectUpdated(name="Zoë Smith", owner="ann"),
                InterestNoted("the roof"),
                *(ValueNoted(f"value-{n}", f"map {n}", ValueKind.PERSONAL) for n in range(20)),
            ],
        )
    ]
    team = msgspec.structs.replace(
        TEAM, owners={"ann": msgspec.structs.replace(TEAM.owners["ann"], email="ann@acme.example")}
    )
    found = []
    for decision, prospect, policies, now in steps[:-1]:
        composed = compose(decision, prospect, policies, now, team)
        assert composed.touch is not None
        (part,) = composed.touch.parts
        message = to_email(composed.touch, part, prospect, team)
        read = email.message_from_bytes(bytes(message), policy=email.policy.default)
        assert read["To"] == "Zoë Smith <somebody@example.com>"
        assert read["From"] == "Ann Lee <ann@acme.example>"
        content = read.get_content()  # type: ignore[attr-defined]
        assert content.splitlines() == part.text.splitlines()
        assert read["Subject"] == part.subject
        assert read.defects == []
        found.append(read)
    first, *others = found
    assert first["In-Reply-To"] is None
    assert not first["Subject"].startswith("Re:")
    assert all(one["In-Reply-To"] == first["Message-ID"] for one in others)
    assert {one["Subject"] for one in others} == {first["Subject"]}
    assert len({one["Message-ID"] for one in found}) == len(found)


def test_an_owner_calls_in_a_language_they_speak_and_writes_in_the_prospects() -> None:
    owner = msgspec.structs.replace(TEAM.owners["ann"], languages=("en",))
    team = msgspec.structs.replace(TEAM, owners={"ann": owner})
    known: list[Data] = [ProspectUpdated(name="Jane Smith", language="es", owner="ann")]
    said = said_to("voicemail-and-email", known, team)
    for _, part, text in said:
        assert ("Hello Jane" in text) == (part.form == Form.VOICEMAIL)
        assert ("Hola" in text) == (part.form != Form.VOICEMAIL)


def test_the_opt_out_is_said_in_the_words_of_the_team() -> None:
    team = msgspec.structs.replace(TEAM, opt_out={"": "Say no more.", "es": "Basta."})
    for language, words in (("en", "Say no more."), ("es", "Basta.")):
        known: list[Data] = [ProspectUpdated(name="Jane Smith", language=language, owner="ann")]
        for _, part, text in said_to("tip8", known, team):
            assert part.form != Form.EMAIL or words in text


def test_a_wait_is_worded_as_it_will_be_said_when_it_is_over() -> None:
    simulation = next(unanswered(builtin("tip8")))
    simulation.make()
    decision = simulation.decision
    assert isinstance(decision, Wait)
    early = simulation.now - timedelta(seconds=1)
    composed = compose(decision, simulation.prospect, simulation.policies, early, TEAM)
    assert composed.touch is not None
    assert "today at 1:10 PM" in composed.touch.parts[0].text


def test_a_private_note_of_an_attempt_is_in_no_text() -> None:
    simulation = next(unanswered(builtin("tip8")))
    (planned,) = simulation.decision.touch.parts  # type: ignore[union-attr]
    simulation.make()
    made = simulation.events[-1].data
    assert isinstance(made, AttemptMade)
    noted = msgspec.structs.replace(made, note=SECRET)
    simulation.record(noted, simulation.now)
    composed = compose(
        simulation.wait(), simulation.prospect, simulation.policies, simulation.now, TEAM
    )
    assert composed.touch is not None
    assert planned.channel == composed.touch.parts[0].channel
    assert SECRET not in msgspec.json.encode(composed.touch).decode()
