"""The catalogue: each policy is proved, says what its source says, and has its golden timetable.

``python tests/policy/test_catalogue.py`` writes the golden timetable of a policy that has none yet.
"""

import itertools
import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import paths
import pytest
from clocks import ahead
from said import message, messages

import cadence.policy
from cadence.domain import AttemptStage, Channel
from cadence.domain.channels import CALL, CHANNELS, EMAIL, SMS
from cadence.messages import lint_policy
from cadence.policy import (
    DEFAULT_POLICY,
    Policy,
    PolicyRegistry,
    builtin,
    builtin_names,
)
from cadence.policy.script_forms import Form
from cadence.prover import load, prove
from cadence.prover.timetable import Entry, timetable
from cadence.store import Cadence
from cadence.transfer import import_jsonl

HERE = paths.TESTS
TIMETABLES = HERE / "golden" / "timetables"
HISTORIES = HERE / "golden" / "histories"
EXAMPLES = HERE.parent / "examples" / "histories"
FILES = Path(cadence.policy.__file__).parent / "builtin"
NAMES = builtin_names()
NEW = [name for name in NAMES if name != DEFAULT_POLICY]
POLITE, UNTIL = "polite-persistence", "until-they-buy-or-say-stop"
VOICEMAIL, ARE_YOU_OK = "voicemail-and-email", "are-you-ok"
MONDAY = date(2024, 1, 1)
"""Business day 0 of a rehearsal."""

ALL = CHANNELS
PHONE_AND_EMAIL = (CALL, EMAIL)
WHOM = [
    pytest.param(channels, prefers, id=f"{'+'.join(channels)}-prefers-{prefers or 'none'}")
    for channels in (ALL, PHONE_AND_EMAIL, *((channel,) for channel in CHANNELS))
    for prefers in (None, *channels)
]
"""On which channels a prospect can be reached, and which of them they prefer."""


def touches(name: str, *args: object, **kwargs: object) -> list[Entry]:
    """What is done; without the end."""
    return list(timetable(builtin(name), *args, **kwargs))[:-1]


def days_between(entries: list[Entry]) -> list[int]:
    """The gaps in business days; 0 within a day."""
    return [after.business_day - one.business_day for one, after in itertools.pairwise(entries)]


def day_of(entry: Entry) -> date:
    weeks, days = divmod(entry.business_day, 5)
    return MONDAY + timedelta(weeks=weeks, days=days)


def said(policy: Policy, *stages: AttemptStage) -> dict[str, str]:
    """What the steps of ``stages`` say, of all if none are named, by script and form."""
    found = messages(policy, *stages)
    return {f"{name} {form}": f"{said.subject} {said.text}" for (name, form), said in found.items()}


def written(name: str) -> str:
    """A timetable as a text: for several people, by the channels on which they can be reached."""

    def lines() -> Iterator[str]:
        for channels in (ALL, PHONE_AND_EMAIL, (CALL,), (EMAIL,)):
            yield f"reached by {', '.join(channels)}"
            for one in timetable(builtin(name), channels):
                how = "+".join(one.channels)
                line = f"{one.business_day:>5} {one.at} {one.step:17} {how:11} {one.gap}"
                yield line.rstrip()

    return "\n".join(lines()) + "\n"


# Every policy -------------------------------------------------------------------------------------


def test_the_catalogue_is_the_five_of_the_issue() -> None:
    assert set(NAMES) == {DEFAULT_POLICY, POLITE, UNTIL, VOICEMAIL, ARE_YOU_OK}


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_of_the_catalogue_is_proved_and_every_touch_can_be_reached(name: str) -> None:
    proof = prove(builtin(name))
    assert proof.refuted == ()
    assert proof.unreachable == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_of_the_catalogue_is_a_file_that_loads_and_names_its_source(name: str) -> None:
    policy = load(FILES / f"{name}.toml")
    assert policy == builtin(name)
    assert policy.id == name
    comment = " ".join((FILES / f"{name}.toml").read_text().split("\n\n")[0].split("\n# "))
    assert policy.source in comment


@pytest.mark.parametrize("name", NAMES)
def test_every_step_of_the_catalogue_has_its_reason_beside_it(name: str) -> None:
    blocks = (FILES / f"{name}.toml").read_text().split("[[steps]]")[:-1]
    assert all(block.rstrip().splitlines()[-1].startswith("#") for block in blocks)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_catalogue_says_has_nothing_the_linter_minds(name: str) -> None:
    assert lint_policy(builtin(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_timetable_of_the_catalogue_stays_as_it_was_written(name: str) -> None:
    assert written(name) == (TIMETABLES / f"{name}.txt").read_text(encoding="utf-8")


RELEASED = {
    ("are-you-ok", 1): "75c063debe0542d9bbe2b089314babbec657a5ad7b63505a4c5691e24d235af7",
    ("polite-persistence", 1): "94e1f33fa07217f089200308860e4b4c403da038c87b37b52d047fb12379c82c",
    ("tip8", 1): "f78efab5b38d1a7e7f4f6429b6de3f9ef387c0085150898229345e4bc64bcb4a",
    ("until-they-buy-or-say-stop", 1): (
        "48b22dbd08d2314b28ce841cf56a7a6a9ecd08803eb90d0e005dbfe1dfa901c7"
    ),
    ("voicemail-and-email", 1): "ca1eb4fb2794d332b7b1ce8da858a237bcd93b4680ee7fa8eddae499c90897ac",
}
"""Never change a line: histories name these digests. A policy that changes gets a new version, and
the registry goes on finding the old one by its digest."""


def test_every_released_version_of_the_catalogue_is_found_by_its_digest() -> None:
    for (name, version), digest in RELEASED.items():
        found = PolicyRegistry().find(digest)
        assert found is not None, name
        assert (found.id, found.version, found.digest) == (name, version, digest)


def test_every_policy_of_the_catalogue_is_pinned() -> None:
    found = {(one.id, one.version): one.digest for one in map(builtin, builtin_names())}
    assert found.items() <= RELEASED.items()


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize(("channels", "prefers"), WHOM)
def test_a_prospect_who_never_answers_is_politely_closed(
    name: str, channels: tuple[Channel, ...], prefers: Channel | None
) -> None:
    policy = builtin(name)
    *made, end = timetable(policy, channels, prefers=prefers)
    assert end.step == "close"
    assert policy.exit_step is not None
    assert [one.step for one in made].count(policy.exit_step.id) == 1
    assert made[-1].step == policy.exit_step.id
    assert len(made) >= 2


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize(("channels", "prefers"), WHOM)
def test_gaps_never_shrink_and_no_more_than_six_calls_come_before_the_nurture(
    name: str, channels: tuple[Channel, ...], prefers: Channel | None
) -> None:
    made = touches(name, channels, prefers=prefers)
    gaps = days_between(made)
    assert gaps == sorted(gaps)
    assert min(gaps) >= 1
    stages = {point.name: point.stage for point in builtin(name).planned_touches}
    spaced = [one for one in made if stages.get(one.step) == "spaced"]
    assert sum("call" in one.channels for one in spaced) <= 6


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize(("channels", "prefers"), WHOM)
def test_no_touch_uses_a_channel_twice(
    name: str, channels: tuple[Channel, ...], prefers: Channel | None
) -> None:
    for one in touches(name, channels, prefers=prefers):
        assert len(set(one.channels)) == len(one.channels)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("prefers", CHANNELS)
def test_a_preferred_channel_is_used_wherever_the_touch_may_use_it(
    name: str, prefers: Channel
) -> None:
    policy = builtin(name)
    assert policy.exit_point is not None
    points = {**policy.by_name, policy.exit_point.name: policy.exit_point}
    for one in touches(name, prefers=prefers):
        if prefers in points[one.step].channels:
            assert prefers in one.channels, one


@pytest.mark.parametrize("name", NEW)
def test_no_script_of_the_catalogue_blames_and_each_names_them(name: str) -> None:
    for text in said(builtin(name)).values():
        assert "Jane" in text
        assert not re.search(r"\byou (did|have) ?n[o']t\b", text)


# polite-persistence -------------------------------------------------------------------------------


def test_polite_persistence_has_value_in_every_touch() -> None:
    for name, text in said(builtin(POLITE)).items():
        if name != "yes_or_no_exit sms":  # one part has no room for it
            assert "a plan of your barn" in text, name


def test_polite_persistence_asks_for_a_yes_or_a_no_and_takes_either() -> None:
    for text in said(builtin(POLITE)).values():
        assert re.search(r"\byes\b", text, re.IGNORECASE)
        assert re.search(r"\bno\b", text)
        assert re.search(r"equally good|just as good|[Ee]ither is fine", text)


def test_polite_persistence_is_phone_and_email_several_times_in_two_weeks() -> None:
    first = [one for one in touches(POLITE) if one.business_day <= 10]
    used = [channel for one in first for channel in one.channels]
    assert used.count("call") >= 2
    assert used.count("email") >= 2
    assert used.count("call") + used.count("email") == len(used) == 5


def test_polite_persistence_then_waits_a_week_then_two_then_ever_longer() -> None:
    made = touches(POLITE)
    gaps = days_between(made)
    two_weeks = sum(one.business_day <= 10 for one in made) - 1
    week, two, *longer = gaps[two_weeks:]
    assert max(gaps[:two_weeks]) < week
    assert (week, two) == (5, 10)
    ever_longer, exit_gap = longer[:-1], longer[-1]
    assert all(before < after for before, after in itertools.pairwise([two, *ever_longer]))
    assert exit_gap >= ever_longer[-1]


def test_polite_persistence_keeps_going_for_eight_months() -> None:
    bounds = prove(builtin(POLITE)).bounds
    assert bounds is not None
    assert 165 <= bounds.business_days_to_end.longest <= 175
    assert 165 <= builtin(POLITE).horizon_business_days <= 175
    last = day_of(touches(POLITE)[-1]) - MONDAY
    assert timedelta(days=7.5 * 30) <= last <= timedelta(days=8.5 * 30)


# until-they-buy-or-say-stop -----------------------------------------------------------------------


def test_until_they_buy_follows_up_in_various_ways_never_the_same_twice_in_a_row() -> None:
    made = touches(UNTIL)
    assert {channel for one in made for channel in one.channels} == {*CHANNELS}
    for one, after in itertools.pairwise(made[:-1]):
        assert one.channels != after.channels


def test_until_they_buy_comes_at_different_times_of_the_day_the_week_and_the_month() -> None:
    made = touches(UNTIL)[:-1]
    assert len({one.at for one in made}) >= 4
    for one, after in itertools.pairwise(made):
        assert one.at != after.at
    for stage in ("connect", "nurture"):
        of_stage = [one for one in made if one.step.startswith(stage)]
        assert {day_of(one).weekday() for one in of_stage} == {0, 1, 2, 3, 4}
    assert {(day_of(one).day - 1) // 7 for one in made} >= {0, 1, 2, 3}


def test_until_they_buy_nurtures_with_growing_gaps_and_ends_with_the_polite_exit() -> None:
    made = touches(UNTIL)
    nurture = [one for one in made if one.step.startswith("nurture")]
    gaps = days_between(nurture)
    assert len(nurture) == 10
    assert gaps[-1] >= 6 * gaps[0]
    assert sum(before < after for before, after in itertools.pairwise(gaps)) >= len(gaps) - 2
    assert made[-1].step == "polite_exit"
    bounds = prove(builtin(UNTIL)).bounds
    assert bounds is not None
    assert 380 <= bounds.business_days_to_end.longest <= 480


def test_until_they_buy_always_says_that_stop_is_an_answer() -> None:
    for text in said(builtin(UNTIL), AttemptStage.SPACED, AttemptStage.NURTURE).values():
        assert re.search("I will stop|word stop|Reply STOP", text)


# voicemail-and-email ------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "prefers"), WHOM)
def test_every_voicemail_goes_with_an_email(
    channels: tuple[Channel, ...], prefers: Channel | None
) -> None:
    for one in touches(VOICEMAIL, channels, prefers=prefers):
        if "call" in one.channels and EMAIL in channels:
            assert "email" in one.channels, one


def test_the_email_that_goes_with_a_voicemail_says_so() -> None:
    policy = builtin(VOICEMAIL)
    with_email = 0
    for step in policy.steps:
        for turn in (step.parts, *step.rotation):
            if any(CALL in part.channels for part in turn):
                (email,) = [part for part in turn if part.channels == (EMAIL,)]
                text = message(email.script, Form.EMAIL).text
                assert "I have just tried to call you, and we could not connect" in text
                with_email += 1
    assert with_email == 4


def test_who_has_not_agreed_to_guidelines_is_tried_twice_and_left_in_peace() -> None:
    steps = [one.step for one in touches(VOICEMAIL, guidelines=False)]
    assert steps == ["first#1", "first#2", "last_opportunity"]
    agreed = [one.step for one in touches(VOICEMAIL)]
    assert agreed[2:6] == [f"follow_up#{number}" for number in range(1, 5)]


@pytest.mark.parametrize("prefers", [c for c in CHANNELS if c != CALL])
def test_who_prefers_to_be_written_to_is_written_to_in_every_touch(prefers: Channel) -> None:
    made = touches(VOICEMAIL, prefers=prefers)
    assert [one.channels for one in made] == [(prefers,)] * 7


def test_each_of_the_five_channels_is_among_those_offered() -> None:
    for text in said(builtin(VOICEMAIL), AttemptStage.SPACED).values():
        offers = [way in text for way in ("call", "email", "letter", "video", "text")]
        # One part of a text message has no room for all of them.
        assert all(offers) or "Reply STOP" in text or "sending you an email" in text
    assert {channel for one in touches(VOICEMAIL) for channel in one.channels} == {*CHANNELS}


def test_the_last_opportunity_leaves_one_business_day_and_the_file_is_closed() -> None:
    *_, last, end = timetable(builtin(VOICEMAIL))
    assert last.step == "last_opportunity"
    assert end.step == "close"
    assert end.business_day - last.business_day == 1
    assert end.at == last.at


# are-you-ok ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "prefers"), WHOM)
def test_are_you_ok_is_asked_once_after_five_attempts_and_three_weeks(
    channels: tuple[Channel, ...], prefers: Channel | None
) -> None:
    made = touches(ARE_YOU_OK, channels, prefers=prefers)
    asked = [one for one in made if one.step == "are_you_ok"]
    if not set(channels) & {CALL, SMS, EMAIL}:
        assert asked == []
        return
    (one,) = asked
    assert made.index(one) == 5
    assert day_of(one) - day_of(made[0]) == timedelta(days=21)


def test_are_you_ok_is_asked_by_voicemail_and_text_at_once() -> None:
    (one,) = [one for one in touches(ARE_YOU_OK) if one.step == "are_you_ok"]
    assert set(one.channels) == {"call", "sms"}
    for text in said(builtin(ARE_YOU_OK), AttemptStage.CONCERN).values():
        assert "Are you OK?" in text


def test_are_you_ok_leaves_two_days_to_answer() -> None:
    policy = builtin(ARE_YOU_OK)
    assert policy.answers["are_you_ok"].business_days == 2
    made = touches(ARE_YOU_OK)
    asked, exit_ = made[-2:]
    assert exit_.business_day - asked.business_day > 2


def test_the_attempts_before_are_you_ok_do_not_press() -> None:
    for text in said(builtin(ARE_YOU_OK), AttemptStage.SPACED).values():
        assert "o hurry" in text
        assert "Friday" not in text


# Golden histories ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEW)
def test_every_policy_has_a_silence_an_opt_out_a_late_and_an_answered_history(name: str) -> None:
    found = {path.stem.removeprefix(f"{name}-") for path in HISTORIES.glob(f"{name}-*.jsonl")}
    assert found > {"silence", "opts-out", "late"}
    assert len(found) == 4


# These show shapes of events, and rules that are broken, and name their policy from the start.
SHAPES = {"addresses-and-channels", "frequency", "merged-and-taken-apart"}
ADOPTED = [
    *(path for path in sorted(HISTORIES.glob("*.jsonl")) if path.stem not in SHAPES),
    EXAMPLES / "jamie-are-you-ok.jsonl",
]


@pytest.mark.parametrize("path", ADOPTED, ids=lambda path: path.stem)
def test_every_golden_history_adopts_a_policy_that_is_in_the_catalogue(path: Path) -> None:
    second = json.loads(path.read_text(encoding="utf-8").splitlines()[1])
    assert second["type"] == "PolicyAdopted"
    assert second["data"]["digest"] == builtin(second["data"]["name"]).digest
    app = Cadence.open()
    with path.open("rb") as lines:
        import_jsonl(app, lines, at=ahead())
    prospect = app.load(path.stem)
    assert PolicyRegistry().of(prospect) == builtin(second["data"]["name"])
    made = [event.data for event in app.history(path.stem) if hasattr(event.data, "broke")]
    assert made
    assert [one.broke for one in made if one.broke] == []


if __name__ == "__main__":
    TIMETABLES.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = TIMETABLES / f"{name}.txt"
        if not path.exists():
            path.write_text(written(name), encoding="utf-8")
