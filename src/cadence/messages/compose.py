"""Turn the scripts that a decision names into text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
from babel import Locale

from cadence.domain.events import AttemptMade, AttemptStage, Disposition, Event, Part, ValueKind
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.domain.team import NO_TEAM, Owner, Team, owner_of
from cadence.engine.context import calendar_for
from cadence.engine.decision import Decision, Due, Wait
from cadence.engine.loop import advance
from cadence.engine.next_touch import lacks_value
from cadence.errors import InputError, PolicyError
from cadence.messages.callback import callback_for
from cadence.messages.email import first_email
from cadence.messages.languages import ENGLISH, Language, languages_of
from cadence.messages.names import spoken_name
from cadence.messages.notes import sayable
from cadence.messages.scripts import Message, find_script, render_message
from cadence.messages.templates import render_template
from cadence.messages.times import clock_words, date_words, day_words, is_one, locale_of
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry
from cadence.policy.script_forms import Form, forms_of
from cadence.policy.touch import Touch, TouchPart
from cadence.worktime.calendar import WorkCalendar

__all__ = ["PLACEHOLDERS", "compose", "language_for"]

_LATE: Final = timedelta(minutes=1)
"""How much later than agreed a call says that it is late."""
_SOON: Final = timedelta(minutes=30)
"""Within this a time is said in minutes from now; in speech alone."""

PLACEHOLDERS: Final = frozenset(
    {
        *("name", "given_name", "family_name", "salutation", "to_name", "to_address"),
        *("interest", "value", "value_is_personal", "owner", "owner_name", "owner_title"),
        *("owner_email", "company", "callback", "signature", "address", "opt_out"),
        *("time", "today", "next_time", "deadline", "appointment_time", "late", "called_today"),
        *("turn", "form", "channel", "channels"),
    }
)
"""What a script may use beside the phrases of its language."""


def compose(
    decision: Decision,
    prospect: Prospect,
    policies: PolicyRegistry,
    now: datetime,
    team: Team = NO_TEAM,
) -> Decision:
    """Fill in the text of each part of a decision's touch, in the form that its channel needs.

    A call gets two: ``text`` is left on a machine, ``live`` is for a conversation.

    Args:
        decision: made for ``prospect`` at ``now``.
        prospect: who the touch is for.
        policies: where the prospect's policy is found.
        now: when the words would be said (UTC). Those of a wait are said when it is over.
        team: who says them; :meth:`Cadence.settings` has it.

    Returns:
        The decision with texts; unchanged if it has no touch, if nothing of value is left for a
        nurture touch, or if its policy or the prospect's time zone is unknown.
    """
    touch = decision.touch
    policy = policies.of(prospect)
    if touch is None or decision.at is None or policy is None or lacks_value(prospect, decision):
        return decision
    said_at = max(now, decision.at)
    try:
        calendar = calendar_for(prospect, policy)
    except InputError:
        return decision
    following = _following(touch, prospect, policies, said_at)
    scene = _Scene(touch, prospect, policy, calendar, said_at, following, team)
    parts = tuple([_composed(scene, part) for part in touch.parts])
    return msgspec.structs.replace(decision, touch=msgspec.structs.replace(touch, parts=parts))


def language_for(prospect: Prospect, team: Team, form: Form) -> str:
    """Return the code of the language in which a prospect is addressed.

    The prospect's own, if the team has it, and if their owner speaks it or it is written.
    """
    stated = (prospect.identity.language or "").strip().lower().replace("_", "-").split("-")[0]
    known = languages_of(team)
    language = next((one for one in (stated, team.language) if one in known), ENGLISH)
    spoken = owner_of(team, prospect.identity.owner)[1].languages
    if form in (Form.VOICEMAIL, Form.LIVE) and spoken and language not in spoken:
        return next((one for one in spoken if one in known), ENGLISH)
    return language


class _Following(NamedTuple):
    """What follows if they do not answer: when, and whether its time of day is promised."""

    at: datetime
    is_exact: bool


class _Scene(NamedTuple):
    """A touch, and what is known while it is made."""

    touch: Touch
    prospect: Prospect
    policy: Policy
    calendar: WorkCalendar
    said_at: datetime
    following: _Following | None
    team: Team


def _composed(scene: _Scene, part: TouchPart) -> TouchPart:
    traits = scene.policy.traits.get(part.channel)
    forms = (Form.SMS,) if traits is None else forms_of(traits)
    first, *more = [_said(scene, part, form) for form in forms]
    return msgspec.structs.replace(
        part,
        text=first.text,
        form=forms[0].value,
        subject=first.subject,
        live=more[0].text if more else "",
    )


def _said(scene: _Scene, part: TouchPart, form: Form) -> Message:
    """Return a part in one form; a script that can't be rendered says so in its place."""
    languages = languages_of(scene.team)
    code = language_for(scene.prospect, scene.team, form)
    try:
        found = find_script(part.script, form, code, languages, scene.policy.scripts)
    except PolicyError as error:
        return Message(f"[{error.what}]")
    language = languages.get(found.language, languages[ENGLISH])
    words = _words(scene, part, form, language, found.language)
    try:
        message = render_message(found, form, languages, words)
        if form is Form.EMAIL:
            return message._replace(subject=_threaded(scene, message.subject, languages, words))
    except PolicyError as error:
        return Message(f"[script {part.script} can't be rendered: {error.what}]")
    return message


def _threaded(
    scene: _Scene, subject: str, languages: Mapping[str, Language], words: Mapping[str, object]
) -> str:
    """Return the subject; that of the first email of this silence, if this one follows it.

    Without "Re:", which would say that they had written.
    """
    first = first_email(scene.prospect)
    planned = None if first is None else scene.policy.by_name.get(first.step or "")
    if first is None or planned is None:
        return subject
    used = {made.channel for made in first.parts}
    scripts = [one.script for one in planned.parts if not used.isdisjoint(one.channels)]
    code = language_for(scene.prospect, scene.team, Form.EMAIL)
    for script in scripts[-1:]:
        found = find_script(script, Form.EMAIL, code, languages, scene.policy.scripts)
        earlier = render_message(found, Form.EMAIL, languages, words)
        return earlier.subject
    return subject


# Words --------------------------------------------------------------------------------------------


def _words(
    scene: _Scene, part: TouchPart, form: Form, language: Language, code: str
) -> dict[str, object]:
    """Return a value for every placeholder; an empty text where nothing is known."""
    prospect, team = scene.prospect, scene.team
    identity = prospect.identity
    name = spoken_name(identity)
    value = prospect.next_value()
    owner_id, owner = owner_of(team, identity.owner)
    interests = [sayable(text, language) for text in prospect.interests[-1:]]
    words: dict[str, object] = {
        "name": name.greeting,
        "given_name": name.given,
        "family_name": name.family,
        "salutation": name.salutation,
        "to_name": _one_line(identity.name),
        "to_address": part.address if form is Form.LETTER else "",
        "interest": interests[0] if interests else "",
        "value": "" if value is None else sayable(value.text, language),
        "value_is_personal": value is not None and value.kind is ValueKind.PERSONAL,
        "owner": owner_id,
        **_team_words(team, owner, identity.country),
        "opt_out": team.opt_out.get(code) or team.opt_out.get("", ""),
        "turn": _turn(scene.touch),
        "form": form.value,
        "channel": part.channel,
        "channels": tuple(one.channel for one in scene.touch.parts),
    }
    words.update(_time_words(scene, form, language, locale_of(code, identity.country)))
    return words


def _team_words(team: Team, owner: Owner, country: str | None) -> dict[str, object]:
    return {
        "owner_name": owner.name or "",
        "owner_title": owner.title or "",
        "owner_email": owner.email or "",
        "company": team.company or "",
        "callback": callback_for(team, owner, country),
        "signature": owner.signature or "",
        "address": team.address or "",
    }


def _turn(touch: Touch) -> int:
    """Return which touch of its step it is, counted from 1."""
    number = touch.step.rpartition("#")[2]
    return int(number) if number.isdigit() else 1


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _time_words(scene: _Scene, form: Form, language: Language, locale: Locale) -> dict[str, object]:
    """Return the placeholders that say a time, on the prospect's clock."""
    calendar, said_at = scene.calendar, scene.said_at
    local = calendar.local(said_at)
    following = scene.following
    next_time = "" if following is None else _when(scene, following, form, language, locale)
    words: dict[str, object] = {
        "time": clock_words(local, locale),
        "today": date_words(local.date(), locale),
        "next_time": next_time,
        "deadline": next_time,
        "appointment_time": "",
        "late": False,
        "called_today": any(
            calendar.local(one.at).date() == local.date()
            and any(made.spoken or made.channel in scene.policy.spoken for made in one.parts)
            for one in scene.prospect.silence.attempts
        ),
    }
    agreed = _agreed(scene.prospect)
    if agreed is not None:
        there = calendar.local(agreed)
        clock = _clock(there, language, locale)
        if there.date() != local.date():
            day = day_words(there.date(), locale, language.day)
            clock = _phrase(language, "clock_on_day", {"clock": clock, "day": day})
        words["appointment_time"] = clock
        called = said_at if scene.touch.stage is Stage.ON_TIME else agreed
        kept = scene.prospect.appointment or scene.prospect.kept_appointment
        words["late"] = kept is not None and called - kept.at >= _LATE
    return words


def _agreed(prospect: Prospect) -> datetime | None:
    """The agreed time: still ahead, or that of the on-time attempt that was made for it."""
    if prospect.appointment is not None:
        return prospect.appointment.at
    for attempt in reversed(prospect.silence.attempts):
        if attempt.stage is AttemptStage.ON_TIME:
            return attempt.at
    return None


def _following(
    touch: Touch, prospect: Prospect, policies: PolicyRegistry, said_at: datetime
) -> _Following | None:
    """When the next touch or the end follows if the prospect does not answer.

    The loop is asked one touch ahead. ``None`` if the owner is next: a script promises no time
    that depends on the owner. A touch that is planned in business days is promised for its day:
    it may be made at any open time of it.
    """
    stage = AttemptStage(touch.stage.value)
    attempt = AttemptMade(
        parts=tuple(Part(p.channel, Disposition.SENT, p.address) for p in touch.parts),
        stage=stage,
        step=touch.step,
        value=prospect.value_used(stage),
    )
    imagined = Event(prospect.id, prospect.version + 1, said_at, said_at, attempt)
    later, after = advance(prospect, (imagined,), policies, said_at)
    if not isinstance(after, Due | Wait) or lacks_value(later, after):
        return None
    policy = policies.of(prospect)
    planned = None
    if policy is not None and after.touch is not None:
        planned = policy.by_name.get(after.touch.step)
    return _Following(after.at, planned is not None and planned.elapsed is not None)


def _when(
    scene: _Scene, following: _Following, form: Form, language: Language, locale: Locale
) -> str:
    """Word when something follows: ``in ten minutes``, ``today at 1:10 PM``, ``on Friday, …``."""
    there = scene.calendar.local(following.at)
    minutes = -((scene.said_at - following.at) // timedelta(minutes=1))
    # What is written is read later.
    is_spoken = form in (Form.VOICEMAIL, Form.LIVE)
    if is_spoken and following.is_exact and following.at - scene.said_at <= _SOON:
        return _phrase(language, "in_minutes", {"minutes": minutes})
    words = {
        "clock": _clock(there, language, locale),
        "day": day_words(there.date(), locale, language.day),
    }
    if there.date() == scene.calendar.local(scene.said_at).date():
        return _phrase(language, "today_at", words)
    return _phrase(language, "on_day_at" if following.is_exact else "on_day", words)


def _clock(there: datetime, language: Language, locale: Locale) -> str:
    """Word a time of day, with what the language puts around it: ``9:00 AM``, ``las 9:00``."""
    clock = clock_words(there, locale)
    if "clock_time" not in language.phrases:
        return clock
    return _phrase(language, "clock_time", {"clock": clock, "is_one": is_one(clock)})


def _phrase(language: Language, name: str, words: Mapping[str, object]) -> str:
    return render_template(language.phrases[name].strip(), words)
