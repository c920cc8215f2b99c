"""Whoever the prospect is, whatever is known: a text says what it must, and no more than it may.

What must be said stands here a second time, apart from the linter, which reads samples alone.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import re
import unicodedata
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
from faker import Faker
from hypothesis import example, given, settings
from hypothesis import strategies as st
from said import TEAM

from cadence.domain import Event, InterestNoted, ValueNoted
from cadence.domain.channels import CHANNELS, EMAIL, Channel
from cadence.domain.events import AttemptMade, Data, ProspectUpdated, ValueKind
from cadence.domain.fold import fold
from cadence.domain.stages import Stage
from cadence.domain.team import Owner, Team
from cadence.engine.decision import Due
from cadence.engine.next_touch import lacks_value
from cadence.messages import (
    Form,
    builtin_languages,
    compose,
    language_for,
    sms_parts,
    to_email,
)
from cadence.messages.compose import PLACEHOLDERS
from cadence.messages.wording import contains, faults_of_wording
from cadence.policy import builtin, builtin_names
from cadence.policy.script_forms import forms_of
from cadence.prover.simulation import Scenario, Simulation, beginnings
from cadence.prover.state_space import Beginning

LOCALES = (
    *("en_US", "en_GB", "es_ES", "es_MX", "de_DE", "nl_NL", "pl_PL", "ja_JP", "ar_EG", "ru_RU"),
)
FAKERS = {locale: Faker(locale) for locale in LOCALES}
SECRET = "he drinks; gatekeeper is rude"
INTEREST, VALUE = "mending the quorn", "a sketch of a quorn"
LANGUAGES = builtin_languages()

MONTHS: Final = {
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    "es": (
        *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
        *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
    ),
}
DATES: Final = {
    "en": re.compile(r"\b(?P<month>[A-Z][a-z]+) (?P<day>\d{1,2})\b"),
    "es": re.compile(r"\b(?P<day>\d{1,2}) de (?P<month>[a-z]+)"),
}
CLOCK: Final = re.compile(r"\b(\d{1,2}):(\d{2})(?: ([AP])M)?")
IN_MINUTES: Final = {
    "en": re.compile(r"\bin (ten|\d+) minutes"),
    "es": re.compile(r"\bdentro de (diez|\d+) minutos"),
}
CONCERN: Final = {"en": "Are you OK?", "es": "¿Está usted bien?"}


MARKERS: Final = (*("quorn", "gatekeeper", "drinks", "none", "render"), *PLACEHOLDERS)


def has_no_marker(text: str) -> bool:
    """Hypothesis draws words of this file too, and those tell what was noted or went wrong."""
    return not any(one in text.casefold() for one in MARKERS)


texts = st.text(st.characters(exclude_characters="{}⟨⟩"), max_size=200).filter(has_no_marker)


@st.composite
def names(draw: st.DrawFn) -> str:
    """Names of ten locales, as people type them, and ugly text."""
    if draw(st.integers(0, 4)) == 0:
        return draw(texts)
    fake = FAKERS[draw(st.sampled_from(LOCALES))]
    fake.seed_instance(draw(st.integers(0, 10_000)))
    name: str = draw(st.sampled_from([fake.name, fake.first_name, fake.last_name]))()
    return draw(st.sampled_from([name, name.upper(), name.lower(), f"Dr. {name}"]))


ugly = st.one_of(
    texts,
    st.sampled_from([SECRET, "{{ name }}", "  ", "x" * 400, "a\nb", "urgent?"]),
)


@st.composite
def facts(draw: st.DrawFn) -> list[Data]:
    """What may be known of a prospect."""
    found: list[Data] = [
        ProspectUpdated(
            name=draw(names()) or "Jo",
            language=draw(st.sampled_from(["en", "es", "es-MX", "ES", "xx", None])),
            owner=draw(st.sampled_from(["ann", "bob", None])),
        )
    ]
    for text in draw(st.lists(st.one_of(st.just(INTEREST), ugly), max_size=2)):
        if text.strip():
            found.append(InterestNoted(text))
    for number, text in enumerate(draw(st.lists(st.one_of(st.just(VALUE), ugly), max_size=8))):
        if text.strip():
            found.append(ValueNoted(f"value-{number}", text, draw(st.sampled_from(ValueKind))))
    return found


TEAMS: Final = (
    TEAM,
    Team(),
    Team(company="Acme", callbacks=("+1 212 555 0190",)),
    Team(owners={"ann": Owner(name="Ann Lee"), "bob": Owner(phone="+1 212 555 0190")}),
    msgspec.structs.replace(TEAM, opt_out={"": "Say no more."}),
)


class Said(NamedTuple):
    """One text, and what was known when it was said."""

    form: Form
    text: str
    subject: str
    decision: Due
    simulation: Simulation
    now: datetime
    following: datetime | None


def everything_said(
    name: str, known: list[Data], team: Team, channels: frozenset[Channel]
) -> list[Said]:
    """Every text that a policy says to someone who never answers."""
    policy = builtin(name)
    beginning = beginnings(policy)[0]
    if beginning is not Beginning.APPOINTMENT:
        beginning = Beginning.OWN
    simulation = Simulation(policy, Scenario(channels, beginning, guidelines=True))
    for fact in known:
        simulation.record(fact, simulation.now)
    found: list[Said] = []
    while isinstance(decision := simulation.wait(), Due):
        at, before = simulation.now, simulation.copy()
        composed = compose(decision, simulation.prospect, simulation.policies, at, team)
        assert isinstance(composed, Due)
        simulation.make()
        last = simulation.events[-1]
        assert isinstance(last.data, AttemptMade)
        noted = msgspec.structs.replace(last.data, note=SECRET)
        simulation.events[-1] = Event("somebody", last.version, at, at, noted)
        whole = fold(None, simulation.events)
        assert whole is not None
        simulation.prospect = whole
        following = simulation.decision.at
        if lacks_value(simulation.prospect, simulation.decision):
            following = None  # it waits for the owner, so nothing may be promised
        for part in composed.touch.parts:
            if lacks_value(before.prospect, decision):
                assert (part.text, part.live, part.subject) == ("", "", "")
                continue
            first, *more = forms_of(policy.traits[part.channel])
            assert (part.form, bool(part.live)) == (first, bool(more))
            for form, text in zip((first, *more), (part.text, part.live), strict=False):
                found.append(Said(form, text, part.subject, composed, before, at, following))
    return found


def plain(text: str) -> str:
    """Without accents, which a text message leaves out where that saves a part."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def clean(text: str) -> str:
    return " ".join(text.split()).rstrip(" .,;:")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(builtin_names()),
    facts(),
    st.sampled_from(TEAMS),
    st.one_of(
        st.just(frozenset(CHANNELS)), st.sampled_from(CHANNELS).map(lambda one: frozenset({one}))
    ),
)
@example("until-they-buy-or-say-stop", [ProspectUpdated(name="Jo")], TEAM, frozenset(CHANNELS))
@example(
    "tip8",
    [ProspectUpdated(name="Jo", language="es"), InterestNoted(INTEREST)],
    TEAM,
    frozenset(CHANNELS),
)
def test_every_text_says_what_it_must_and_nothing_it_must_not(
    name: str, known: list[Data], team: Team, channels: frozenset[Channel]
) -> None:
    for said in everything_said(name, known, team, channels):
        check_form(said)
        check_must(said, team)
        check_may_not(said, known)
        check_promises(said, team)


def code_of(said: Said, team: Team) -> str:
    return language_for(said.simulation.prospect, team, said.form)


def check_form(said: Said) -> None:
    """It is rendered, and names no placeholder."""
    assert said.text
    for text in (said.text, said.subject):
        assert not re.search(r"[{}⟨⟩]|can't be rendered", text)
        assert not [one for one in PLACEHOLDERS if "_" in one and contains(text, one)]
        assert "None" not in text.split()
        assert "  " not in text
        assert " ," not in text
        assert not text.startswith((",", ".", " "))
    assert bool(said.subject) == (said.form is Form.EMAIL)
    assert "\n" not in said.subject
    if said.form is Form.SMS:
        assert sms_parts(said.text) <= 4  # what was noted may be long


def check_must(said: Said, team: Team) -> None:
    """It says who speaks, the number, the reason, the next time and a way out, as it needs them."""
    prospect, stage, text = said.simulation.prospect, said.decision.touch.stage, said.text
    language = LANGUAGES[code_of(said, team)]
    owner_id = prospect.identity.owner or (next(iter(team.owners)) if len(team.owners) == 1 else "")
    owner = team.owners.get(owner_id, Owner())
    needed = [team.company, owner.name]
    if said.form in (Form.EMAIL, Form.LETTER):
        needed += (team.address or "").splitlines()
        needed.append(team.opt_out.get(""))
    if said.form is Form.VOICEMAIL and (owner.phone or team.callbacks):
        needed.append("555-0190")
    for words in filter(None, needed):
        assert words in text
    is_written = said.form in (Form.EMAIL, Form.LETTER)
    if is_written or (
        stage in (Stage.SPACED, Stage.NURTURE, Stage.POLITE_EXIT) and said.form is not Form.LIVE
    ):
        assert any(contains(text, words) for words in (*language.way_out, "say no more"))
    if stage is Stage.CONCERN:
        assert plain(CONCERN[code_of(said, team)]) in plain(text)
    value = prospect.next_value()
    if stage in (Stage.SPACED, Stage.NURTURE) and value is not None and value.text == VALUE:
        assert VALUE in text
    if stage is Stage.ON_TIME:
        assert CLOCK.search(text)
    if stage is Stage.POLITE_EXIT and said.form is not Form.LIVE:
        assert dates_in(text, code_of(said, team))


def check_may_not(said: Said, known: list[Data]) -> None:
    """It has no private note, none that its stage forbids, and no words that a language avoids."""
    assert SECRET not in said.text
    assert "gatekeeper" not in said.text + said.subject
    if said.decision.touch.stage in (Stage.ON_TIME, Stage.TEN_MINUTES, Stage.CONCERN):
        assert "quorn" not in said.text
    own = said.text
    for one in known:
        if isinstance(one, InterestNoted | ValueNoted):
            own = own.replace(clean(one.text), "…")
        elif isinstance(one, ProspectUpdated):
            own = own.replace(" ".join((one.name or "").split()), "…")
    for language in LANGUAGES.values():
        faults = [
            words for avoid, words in faults_of_wording(own, language) if avoid.rule != "promise"
        ]
        assert faults == []


def check_promises(said: Said, team: Team) -> None:
    """Each day and time that it names is the agreed one, today's, or that of what comes next."""
    code, now, following = code_of(said, team), said.now, said.following
    kept = [now] if said.form is Form.LETTER else []
    agreed = said.simulation.first
    times = [agreed] if said.decision.touch.stage in (Stage.ON_TIME, Stage.TEN_MINUTES) else []
    if following is not None:
        kept.append(following)
        times.append(following)
    own = said.text.replace(said.simulation.prospect.identity.name, "")
    for month, day in dates_in(own, code):
        assert (month, day) in {(one.month, one.day) for one in (*kept, agreed)}, own
    for hour, minute, half in CLOCK.findall(own):
        read = int(hour) % 12 + (12 if half == "P" else 0) if half else int(hour)
        assert (read, int(minute)) in {(one.hour, one.minute) for one in times}, own
    for words in IN_MINUTES[code].findall(own):
        minutes = 10 if words in ("ten", "diez") else int(words)
        assert following is not None
        assert following - now == timedelta(minutes=minutes)


def dates_in(text: str, code: str) -> list[tuple[int, int]]:
    """The days that a text names, as month and day."""
    months = MONTHS[code]
    return [
        (months.index(found["month"]) + 1, int(found["day"]))
        for found in DATES[code].finditer(text)
        if found["month"] in months
    ]


@settings(max_examples=60, deadline=None)
@given(names(), names(), st.sampled_from(["en", "es"]))
@example("Zoë <b>O'Neil & Söhne</b>, a name with much in it", "Ann", "en")
def test_an_email_keeps_names_and_subject_through_a_mailer(
    name: str, owner: str, language: str
) -> None:
    """Long names in any script, which the standard library folds."""
    ann = Owner(name=owner, email="ann@acme.example")
    team = msgspec.structs.replace(TEAM, owners={"ann": ann})
    simulation = Simulation(builtin("are-you-ok"), Scenario(frozenset({EMAIL}), Beginning.OWN))
    for fact in (
        ProspectUpdated(name=name or "Jo", language=language),
        InterestNoted(f"the {name}"),
    ):
        simulation.record(fact, simulation.now)
    decision = simulation.wait()
    composed = compose(decision, simulation.prospect, simulation.policies, simulation.now, team)
    assert composed.touch is not None
    (part,) = composed.touch.parts
    sent = bytes(to_email(composed.touch, part, simulation.prospect, team))
    read = email.message_from_bytes(
        sent, _class=email.message.EmailMessage, policy=email.policy.default
    )
    assert read.defects == []
    assert max(map(len, sent.split(b"\r\n"))) <= 998
    shown = " ".join("".join(c if c.isprintable() else " " for c in name or "Jo").split())
    assert read["To"].addresses[0].display_name == shown
    assert read["Subject"] == part.subject
    assert read.get_content().splitlines() == part.text.splitlines()
