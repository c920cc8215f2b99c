"""Policy files: tip8 says what the tip says, and every mistake is named with its place."""

import json
import os
import subprocess
import sys
import tomllib
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cadence.policy
from cadence.domain.channels import CALL, CHANNELS, EMAIL
from cadence.domain.events import AttemptStage
from cadence.errors import PolicyError
from cadence.policy.loader import DEFAULT_POLICY, builtin, builtin_names, parse_text
from cadence.policy.rules import Rule
from cadence.prover.proof import prove
from cadence.prover.trusted import load, loads

TIP8 = Path(cadence.policy.__file__).parent / "builtin" / "tip8.toml"
TEXT = TIP8.read_text(encoding="utf-8")
RAW = tomllib.loads(TEXT)
EXIT = TEXT[TEXT.index('[[steps]]\nid = "polite_exit"') :]
HUGE = 10**12


def toml(value, top=True):
    """A TOML writer that is just good enough for a policy."""
    if isinstance(value, dict):
        rows = [f"{toml(key, False)} = {toml(inner, False)}" for key, inner in value.items()]
        return "\n".join(rows) if top else "{" + ", ".join(rows) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(inner, False) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def leaves(value, path=()):
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, inner in items for leaf in leaves(inner, (*path, key))]
    return [path]


def get(path):
    value = RAW
    for key in path:
        value = value[key]
    return value


def put(path, value):
    raw = deepcopy(RAW)
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return raw


def name_of(path):
    found = ""
    for key in path:
        found += f"[{key}]" if isinstance(key, int) else f".{key}"
    return found.lstrip(".")


def edited(old, new):
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new, 1)


def error_of(text):
    with pytest.raises(PolicyError) as caught:
        loads(text, "mine.toml")
    error = caught.value
    assert error.what.startswith("mine.toml: ")
    assert "\n" not in error.what
    assert error.hint
    assert "\n" not in error.hint
    assert error.exit_code == 2
    return error


STEPS = {step["id"]: index for index, step in enumerate(RAW["steps"])}
LEAVES = leaves(RAW)
INTS = [path for path in LEAVES if isinstance(get(path), int)]
TEXTS = [path for path in LEAVES if isinstance(get(path), str)]


# The tip ------------------------------------------------------------------------------------------


def test_tip8_is_the_default_and_loads_from_the_catalogue_and_from_its_file():
    assert DEFAULT_POLICY == "tip8"
    assert "tip8" in builtin_names()
    assert builtin() == builtin("tip8") == load(TIP8) == loads(TEXT, "tip8.toml")
    assert builtin().ref == msgspec.structs.replace(builtin().ref, name="tip8", version=1)


def test_tip8_says_what_the_tip_says():
    policy = builtin("tip8")
    on_time, ten, half, spaced, polite = policy.steps
    assert [step.stage.value for step in policy.steps] == [
        "on_time",
        "ten_minutes",
        "half_day",
        "spaced",
        "polite_exit",
    ]
    assert (on_time.at, on_time.after) == ("appointment", None)
    assert ten.after.distances(1)[0].elapsed == timedelta(minutes=10)
    assert ten.within.minutes == 15
    assert half.after.distances(1)[0].elapsed == timedelta(hours=4)
    assert half.within is None
    assert (spaced.times, spaced.after.business_days) == (6, 3)
    assert polite.after.business_days == 3
    assert polite.answer_within.business_days == 2
    assert policy.exit_step is polite
    assert policy.horizon_business_days == 45
    for step in policy.steps[:-1]:
        assert [part.channels for part in step.parts] == [(CALL,)]
        assert step.answer_within is None
    assert set(polite.parts[0].channels) == set(CHANNELS)
    assert polite.parts[0].channels[0] == EMAIL


def test_tip8_opens_on_weekdays_from_nine_to_five():
    policy = builtin("tip8")
    assert policy.week == (((9 * 3600, 17 * 3600),),) * 5 + ((), ())
    assert policy.closed == frozenset()


def test_tip8_plans_nine_touches_before_the_polite_exit():
    names = [planned_touch.name for planned_touch in builtin("tip8").planned_touches]
    spaced = [f"spaced#{n}" for n in range(1, 7)]
    assert names == ["on_time", "ten_minutes", "half_day", *spaced]
    assert [t.position for t in builtin("tip8").planned_touches] == [0, 0, 0, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", builtin_names())
def test_every_policy_of_the_catalogue_loads_under_its_own_name(name):
    assert builtin(name).id == name


@pytest.mark.parametrize(
    ("name", "hint"), [("tip9", "tip8"), ("Tip8", "tip8"), ("", "tip8"), ("../tip8", "tip8")]
)
def test_an_unknown_policy_is_told_the_known(name, hint):
    with pytest.raises(PolicyError) as caught:
        builtin(name)
    assert repr(name) in caught.value.what
    assert hint in caught.value.hint


def test_hours_are_in_order_whatever_the_file_says():
    text = edited('mon = ["09:00-17:00"]', 'mon = ["13:00-17:00", "09:00-12:00"]')
    monday = loads(text, "x").week[0]
    assert monday == ((9 * 3600, 12 * 3600), (13 * 3600, 17 * 3600))


def test_closed_days_are_read_as_dates():
    policy = loads(edited("[calendar]", "[calendar]\nclosed = [2026-12-24]"), "x")
    assert [day.isoformat() for day in policy.calendar.closed] == ["2026-12-24"]
    assert policy.closed == {policy.calendar.closed[0].toordinal()}


def test_a_policy_is_immutable():
    with pytest.raises(AttributeError):
        builtin("tip8").version = 2


# Mistakes -----------------------------------------------------------------------------------------

MISTAKES = {
    "a key misspelt at the top": (
        ("horizon_business_days = 45", "horizon_business_day = 45"),
        "horizon_business_day: unknown key",
        ["use horizon_business_days (", "title"],
    ),
    "a table misspelt": (("[calendar]", "[calender]"), "calender: unknown key", ["use calendar ("]),
    "a weekday misspelt": (
        ("mon =", "monday ="),
        "calendar.monday: unknown key",
        ["use mon (", "closed"],
    ),
    "a step key misspelt": (
        ('stage = "spaced"', 'stage = "spaced"\nafer = { hours = 1 }'),
        "steps[3].afer: unknown key",
        ["use after (", "answer_within"],
    ),
    "a unit misspelt": (
        ("minutes = 10", "minute = 10"),
        "steps[1].after.minute: unknown key",
        ["use minutes ("],
    ),
    "a unit of within": (
        ("{ minutes = 15 }", "{ hours = 1 }"),
        "steps[1].within.hours: unknown key",
        ["min"],
    ),
    "a part key misspelt": (
        ('channels = ["call"], script = "spaced"', 'channel = ["call"], script = "spaced"'),
        "steps[3].parts[0].channel: unknown key",
        ["use channels (", "script"],
    ),
    "a required days misspelt": (
        ("times = 6", "times = 6\nrequires = { day = 3 }"),
        "steps[3].requires.day: unknown key",
        ["use days (", "attempts"],
    ),
    "a stage misspelt": (
        ('stage = "half_day"', 'stage = "halfday"'),
        'steps[2].stage: invalid "halfday"',
        ["use half_day (", "nurture"],
    ),
    "a stage that is none of outreach": (
        ('stage = "half_day"', 'stage = "engaged"'),
        'steps[2].stage: invalid "engaged"',
        ["on_time", "polite_exit"],
    ),
    "extra as a stage": (
        ('stage = "half_day"', 'stage = "extra"'),
        'steps[2].stage: invalid "extra"',
        ["outreach"],
    ),
    "a stage that is a number": (
        ('stage = "half_day"', "stage = 5"),
        "steps[2].stage: invalid 5",
        ["on_time", "polite_exit"],
    ),
    "channels that are no list": (
        ('channels = ["call"], script = "spaced"', 'channels = "call", script = "spaced"'),
        'steps[3].parts[0].channels: invalid "call"',
        ["a list of at least one, each call, email", "or a channel that [channels.NAME] declares"],
    ),
    "a distance in words": (
        ("{ hours = 4 }", '"4 hours"'),
        'steps[2].after: invalid "4 hours"',
        ["a table", "hours, business_days, growth"],
    ),
    "a growth in words": (
        ("{ business_days = 3 }\ntimes", '{ business_days = 3, growth = "half" }\ntimes'),
        'steps[3].after.growth: invalid "half"',
        ["a number above 0, at most 10"],
    ),
    "a weekday to rotate over misspelt": (
        ("times = 6", 'times = 6\nrotate = { days = ["tues"] }'),
        'steps[3].rotate.days[0]: invalid "tues"',
        ["use tue (", "mon, tue, wed, thu, fri, sat, sun"],
    ),
    "a guard that is no table": (
        ("horizon_business_days", 'guards = ["pause"]\nhorizon_business_days'),
        'guards[0]: invalid "pause"',
        ["kind: contact_window", "custom"],
    ),
    "what a guard counts from misspelt": (
        (
            "[calendar]",
            '[[guards]]\nkind = "cool_down"\nafter = "refusals"\nlasts = { hours = 3 }\n[calendar]',
        ),
        'guards[0].after: invalid "refusals"',
        ["use refusal (", "conversation"],
    ),
    "a text that is none": (
        ("[calendar]", "[scripts]\nfirst = 'Hello'\nspaced = 5\n[calendar]"),
        "scripts.spaced: invalid 5",
        ["a text that is not empty"],
    ),
    "a yes that is a number": (
        ("times = 6", "times = 6\nrequires = { guidelines = 1 }"),
        "steps[3].requires.guidelines: invalid 1",
        ["true or false"],
    ),
    "at misspelt": (
        ('at = "appointment"', 'at = "apointment"'),
        'steps[0].at: invalid "apointment"',
        ["use appointment ("],
    ),
    "a channel misspelt": (
        ('"email", "sms"', '"emial", "sms"'),
        'steps[4].parts[0].channels[0]: invalid "emial"',
        ["use email (", "video_email"],
    ),
    "a version of zero": (("version = 1", "version = 0"), "version: invalid 0", ["at least 1"]),
    "a negative version": (("version = 1", "version = -3"), "version: invalid -3", ["at least 1"]),
    "a broken version": (
        ("version = 1", "version = 1.5"),
        "version: invalid 1.5",
        ["a whole number"],
    ),
    "a true version": (
        ("version = 1", "version = true"),
        "version: invalid true",
        ["a whole number"],
    ),
    "a version in quotes": (
        ("version = 1", 'version = "1"'),
        'version: invalid "1"',
        ["a whole number"],
    ),
    "a horizon of zero": (("= 45", "= 0"), "horizon_business_days: invalid 0", ["from 1 to 1000"]),
    "a horizon without end": (
        ("= 45", "= inf"),
        "horizon_business_days: invalid ",
        ["a whole number from 1"],
    ),
    "a horizon that is no number": (
        ("= 45", "= nan"),
        "horizon_business_days: invalid ",
        ["a whole number from 1"],
    ),
    "a horizon that is a date": (
        ("= 45", "= 2026-01-01"),
        'horizon_business_days: invalid "2026-01-01"',
        ["a whole number from 1"],
    ),
    "a gap of zero": (
        ("business_days = 3", "business_days = 0"),
        "steps[3].after",
        ["from 1 to 260"],
    ),
    "a negative gap": (
        ("business_days = 3", "business_days = -3"),
        "steps[3].after.business_days: invalid -3",
        ["from 1 to 260", "a list of 1 to 200"],
    ),
    "zero minutes": (
        ("minutes = 10", "minutes = 0"),
        "steps[1].after.minutes: invalid 0",
        ["from 1 to 1440"],
    ),
    "negative minutes": (
        ("minutes = 10", "minutes = -1"),
        "steps[1].after.minutes: invalid -1",
        ["1 to 1440"],
    ),
    "zero hours": (("hours = 4", "hours = 0"), "steps[2].after.hours: invalid 0", ["from 1 to 72"]),
    "zero times": (("times = 6", "times = 0"), "steps[3].times: invalid 0", ["from 1 to 200"]),
    "a repeated half day": (
        ("hours = 4 }", "hours = 4 }\ntimes = 2"),
        "steps[2].times: invalid 2",
        ["1 for stage half_day"],
    ),
    "no unit": (("{ minutes = 10 }", "{}"), "steps[1].after: invalid {}", ["exactly one"]),
    "two units": (
        ("{ minutes = 10 }", "{ minutes = 10, hours = 1 }"),
        "steps[1].after: invalid ",
        ["exactly one"],
    ),
    "within zero minutes": (
        ("minutes = 15", "minutes = 0"),
        "steps[1].within.minutes: invalid 0",
        ["from 1"],
    ),
    "within on whole business days": (
        ("times = 6", "times = 6\nwithin = { minutes = 5 }"),
        "steps[3].within",
        ["minutes", "hours"],
    ),
    "neither after nor at": (("after = { hours = 4 }", ""), "steps[2] (half_day)", ["after", "at"]),
    "both after and at": (
        ('at = "appointment"', 'at = "appointment"\nafter = { hours = 1 }'),
        "steps[0] (on_time)",
        ["one of"],
    ),
    "at without on_time": (
        ("after = { hours = 4 }", 'at = "appointment"'),
        "steps[2].at",
        ["on_time"],
    ),
    "on_time without at": (('at = "appointment"', "after = { hours = 1 }"), "steps[0].at", ["on_"]),
    "two steps of one id": (('id = "half_day"', 'id = "ten_minutes"'), "steps[2].id", ["steps[1]"]),
    "an id with a capital": (
        ('id = "half_day"', 'id = "Half"'),
        'steps[2].id: invalid "Half"',
        ["a to z", "letter first"],
    ),
    "a name with a space": (
        ('id = "tip8"', 'id = "Tip 8"'),
        'id: invalid "Tip 8"',
        ["a to z", "letter first"],
    ),
    "an empty title": (
        ('title = "Follow Up Tip #8"', 'title = ""'),
        'title: invalid ""',
        ["not empty"],
    ),
    "no parts": (
        ('[{ channels = ["call"], script = "spaced" }]', "[]"),
        "steps[3] (spaced): missing parts or rotation",
        ["parts = [{"],
    ),
    "no channels": (
        ('channels = ["call"], script = "spaced"', 'channels = [], script = "spaced"'),
        "steps[3].parts[0].channels: invalid []",
        ["at least one", "video_email"],
    ),
    "hours in the quiet hours of the morning": (
        ("09:00-17:00", "07:59-17:00"),
        'calendar.mon[0]: invalid "07:59-17:00"',
        ["08:00 to 21:00"],
    ),
    "hours in the quiet hours of the evening": (
        ("09:00-17:00", "09:00-21:01"),
        'calendar.mon[0]: invalid "09:00-21:01"',
        ["08:00 to 21:00"],
    ),
    "hours that end before they begin": (
        ("09:00-17:00", "17:00-09:00"),
        'calendar.mon[0]: invalid "17:00-09:00"',
        ["09:00-17:00"],
    ),
    "hours that are none": (
        ("09:00-17:00", "nine"),
        'calendar.mon[0]: invalid "nine"',
        ["09:00-17:00"],
    ),
    "hours that are no list": (
        ('mon = ["09:00-17:00"]', 'mon = "09:00-17:00"'),
        "calendar.mon: invalid ",
        ["a list", "09:00-17:00"],
    ),
    "a closed day that is no date": (
        ("[calendar]", '[calendar]\nclosed = ["Christmas"]'),
        'calendar.closed[0]: invalid "Christmas"',
        ["a date such as 2026-12-24"],
    ),
    "a table that is no table": (
        ("{ minutes = 10 }", "10"),
        "steps[1].after: invalid 10",
        ["a table", "minutes", "business_days"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place_its_value_and_what_is_allowed(mistake):
    (old, new), what, allowed = MISTAKES[mistake]
    error = error_of(edited(old, new))
    assert what in error.what
    for word in allowed:
        assert word in error.hint


def test_a_calendar_that_never_opens_is_a_mistake():
    raw = put(("calendar",), {"mon": []})
    assert "calendar" in error_of(toml(raw)).what


REFUTED = {
    "seven spaced calls": (("times = 6", "times = 7"), Rule.SPACED_CAP),
    "stages that go back": (('stage = "half_day"', 'stage = "nurture"'), Rule.ORDER),
    "no polite exit": ((EXIT, ""), Rule.POLITE_EXIT),
    "no time to answer": (("answer_within = { business_days = 2 }", ""), Rule.POLITE_EXIT),
    "a time to answer in hours": (
        ("answer_within = { business_days = 2 }", "answer_within = { hours = 2 }"),
        Rule.POLITE_EXIT,
    ),
    "two polite exits": (
        (EXIT, EXIT + EXIT.replace('id = "polite_exit"', 'id = "again"')),
        Rule.POLITE_EXIT,
    ),
}


@pytest.mark.parametrize(("change", "rule"), REFUTED.values(), ids=REFUTED)
def test_a_policy_against_the_invariants_is_read_but_loaded_only_on_request(change, rule):
    text = edited(*change)
    with pytest.raises(PolicyError, match=rf"x: policy tip8 is refuted: .*{rule}") as caught:
        loads(text, "x")
    assert "cadence policy check" in caught.value.hint
    assert loads(text, "x", use_unproved_policy=True) == parse_text(text, "x")
    assert rule in [one.rule for one in prove(parse_text(text, "x")).refuted]


@pytest.mark.parametrize(
    "path",
    [
        *((key,) for key in RAW),
        *(("steps", 0, key) for key in ("id", "stage")),
        *(("steps", 0, "parts", 0, key) for key in ("channels", "script")),
    ],
    ids=name_of,
)
def test_a_missing_key_is_named_with_its_place(path):
    error = error_of(toml(put(path, ...)))
    assert f"{name_of(path)}: missing" in error.what
    assert path[-1] in error.hint


@pytest.mark.parametrize("path", LEAVES, ids=name_of)
def test_a_value_of_the_wrong_type_is_named_anywhere(path):
    wrong = "six" if isinstance(get(path), int) else 6
    error = error_of(toml(put(path, wrong)))
    assert f"{name_of(path)}: invalid {json.dumps(wrong)}" in error.what
    assert error.hint.startswith("use ")


LISTED = {("after", unit) for unit in ("minutes", "hours", "business_days")}


@pytest.mark.parametrize("path", [p for p in LEAVES if p[-2:] not in LISTED], ids=name_of)
def test_an_array_in_place_of_a_value_is_named_anywhere(path):
    error = error_of(toml(put(path, [1])))
    assert f"{name_of(path)}: invalid [1]" in error.what


@pytest.mark.parametrize("path", INTS, ids=name_of)
@pytest.mark.parametrize("number", [0, -1, -HUGE, -(10**30)])
def test_no_number_of_a_policy_may_be_zero_or_negative(path, number):
    error = error_of(toml(put(path, number)))
    assert f"{name_of(path)}: invalid {number}" in error.what
    assert "1" in error.hint


@pytest.mark.parametrize("path", [path for path in INTS if path != ("version",)], ids=name_of)
@pytest.mark.parametrize("number", [HUGE, 10**30])
def test_no_number_of_a_policy_may_be_huge(path, number):
    assert f"{name_of(path)}: invalid {number}" in error_of(toml(put(path, number))).what


@pytest.mark.parametrize("key", ["attempts", "days"])
@pytest.mark.parametrize("number", [HUGE, 10**30])
def test_what_a_step_requires_may_not_be_huge(key, number):
    raw = deepcopy(RAW)
    raw["steps"][STEPS["spaced"]]["requires"] = {key: number}
    assert f"steps[3].requires.{key}: invalid {number}" in error_of(toml(raw)).what


@pytest.mark.parametrize("path", INTS, ids=name_of)
def test_a_number_too_long_to_be_read_is_a_policy_error(path):
    error_of(toml(put(path, "NUMBER")).replace('"NUMBER"', "9" * 5000))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id",
        "id = ",
        "= 1",
        "[[steps]",
        "id = 'a'\nid = 'b'",
        "\x00",
        "a = 2026-13-45",
        "{}",
        "[]",
        "a = " + "[" * 50_000,
        "a = " + "[" * 5_000 + "]" * 5_000,
        "a = " + "{b = " * 5_000 + "1" + "}" * 5_000,
        "\ufeff" + TEXT.replace("id = ", "id : "),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_toml_or_no_policy_is_a_policy_error(text):
    error_of(text)


@given(st.text(max_size=40))
def test_any_text_is_a_policy_error(text):
    error_of(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_any_unknown_key_is_a_policy_error(key):
    for path in ((key,), ("calendar", key), ("steps", 0, key)):
        if key not in get(path[:-1]):
            error_of(toml(put(path, 1)))


@pytest.mark.parametrize(
    "key", ["a`b", "a - at `$.x", "a - at `$.steps[9]", "a.b", "", " ", "a\nb", "`", "steps[0]"]
)
def test_an_awkward_unknown_key_is_a_policy_error(key):
    error_of(toml(put((key,), 1)))


VALUES = st.one_of(
    st.integers(-(10**20), 10**20),
    st.integers(-3, 300),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from([*AttemptStage, *CHANNELS, "09:00-12:00", "a"]).map(str),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["minutes", "hours", "business_days", "x"]), st.integers(0, 9)),
)


@given(st.sampled_from(LEAVES), VALUES)
def test_any_value_at_any_place_is_a_policy_or_a_policy_error(path, value):
    try:
        policy = loads(toml(put(path, value)), "mine.toml")
    except PolicyError:
        return
    assert len(policy.digest) == 64
    assert policy.planned_touches
    assert any(policy.week)


def test_a_file_that_is_not_there_is_a_policy_error(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(PolicyError) as caught:
            load(path)
        assert str(path) in caught.value.what


@pytest.mark.parametrize("content", [b"\xff\xfe", TEXT.encode("utf-16"), b"title = '\xe9'"])
def test_a_file_that_is_not_in_utf8_is_a_policy_error(tmp_path, content):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match="UTF-8") as caught:
        load(path)
    assert str(path) in caught.value.what


def test_an_error_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(edited("times = 6", "times = 0"), encoding="utf-8")
    with pytest.raises(PolicyError, match=r"mine\.toml: steps\[3\]\.times: invalid 0"):
        load(path)


# The digest ---------------------------------------------------------------------------------------


def digest(text):
    return parse_text(text, "x").digest


def backwards(value):
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [backwards(inner) for inner in value]
    return value


def test_the_digest_is_a_sha256_in_hex():
    assert len(builtin().digest) == 64
    assert set(builtin().digest) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "text",
    [
        toml(RAW),
        toml(backwards(RAW)),
        "\n".join(row for row in TEXT.splitlines() if not row.startswith("#")),
        TEXT.replace("\n", "\n# a comment\n\n"),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace(" = ", "="),
        TEXT.replace('"tip8"', "'tip8'"),
        TEXT.replace("= 45", "= 0x2D"),
    ],
    ids=["flat", "backwards", "bare", "comments", "crlf", "tight", "quotes", "hex"],
)
def test_the_digest_does_not_depend_on_layout_comments_or_the_order_of_keys(text):
    assert digest(text) == builtin().digest


@pytest.mark.parametrize(
    "line",
    [
        "times = 1",
        "requires = {}",
        "requires = { attempts = 0 }",
        "requires = { attempts = 0, days = 0 }",
    ],
)
def test_a_default_written_out_does_not_change_the_digest(line):
    assert digest(edited("hours = 4 }", f"hours = 4 }}\n{line}")) == builtin().digest


@pytest.mark.parametrize("line", ["sat = []", "sun = []", "closed = []"])
def test_a_calendar_default_written_out_does_not_change_the_digest(line):
    assert digest(edited("[calendar]", f"[calendar]\n{line}")) == builtin().digest


@pytest.mark.parametrize("path", INTS, ids=name_of)
@pytest.mark.parametrize("by", [1, -1])
def test_the_digest_changes_with_every_number(path, by):
    number = get(path) + by
    if number < 1 or (path[-1] == "times" and number > 6):
        number = get(path) + 2 * -by
    assert digest(toml(put(path, number))) != builtin().digest


OTHER = {
    "id": "other",
    "title": "Other",
    "source": "Other",
    "script": "other",
    "at": None,
    "stage": None,
}


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_the_digest_changes_with_every_text(path):
    value = get(path)
    if path[0] == "calendar":
        other = "09:00-16:59"
    elif "channels" in path:
        other = "sms" if value != "sms" else "call"
    else:
        other = OTHER[path[-1]]
    if other is not None:
        assert digest(toml(put(path, other))) != builtin().digest


def test_the_digest_changes_when_a_meaning_is_added():
    added = [
        edited("[calendar]", "[calendar]\nclosed = [2026-12-24]"),
        edited("[calendar]", '[calendar]\nsat = ["09:00-12:00"]'),
        edited("times = 6", "times = 6\nrequires = { attempts = 1 }"),
        edited("times = 6", "times = 6\nrequires = { days = 1 }"),
        edited("within = { minutes = 15 }", ""),
        edited("hours = 4", "minutes = 4"),
        edited("hours = 4", "business_days = 4"),
        edited("hours = 4 }", "hours = 4 }\nwithin = { minutes = 15 }"),
        edited('stage = "half_day"', 'stage = "spaced"'),
        edited(
            '[{ channels = ["call"], script = "spaced" }]',
            '[{ channels = ["call"], script = "spaced" }, { channels = ["sms"], script = "s" }]',
        ),
    ]
    assert len({builtin().digest, *map(digest, added)}) == len(added) + 1


def test_the_order_of_the_channels_is_part_of_the_meaning():
    assert digest(edited('"email", "sms"', '"sms", "email"')) != builtin().digest


def test_the_digest_is_the_same_in_every_process():
    code = "from cadence.policy.loader import builtin; print(builtin().digest)"
    source = str(Path(cadence.policy.__file__).parents[2])
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": source, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {builtin().digest}
