"""Scripts as they are said to a sample prospect."""

from __future__ import annotations

from typing import Any

from cadence.domain.team import Owner, Team
from cadence.messages.languages import builtin_languages
from cadence.messages.scripts import Message, find_script, render_message
from cadence.policy import Policy
from cadence.policy.script_forms import Form, forms_of

TEAM = Team(
    company="Acme",
    owners={"ann": Owner(name="Ann Lee", phone="+1 212 555 0190", title="Adviser")},
    address="1 Main Street\nOldtown, NY 10001",
)
WORDS: dict[str, Any] = {
    "name": "Jane",
    "given_name": "Jane",
    "family_name": "Smith",
    "salutation": "",
    "to_name": "Jane Smith",
    "to_address": "5 Elm Road",
    "interest": "dry stables",
    "value": "a plan of your barn",
    "value_is_personal": False,
    "owner": "ann",
    "owner_name": "Ann Lee",
    "owner_title": "Adviser",
    "owner_email": "ann@acme.example",
    "company": "Acme",
    "callback": "(212) 555-0190",
    "signature": "",
    "address": "1 Main Street",
    "opt_out": "",
    "time": "9:00 AM",
    "today": "December 1, 2026",
    "next_time": "on Friday, December 4",
    "deadline": "on Friday, December 4",
    "appointment_time": "9:00 AM",
    "late": False,
    "called_today": True,
    "turn": 1,
    "channel": "call",
    "channels": ("call", "email"),
}


def message(script: str, form: Form, language: str = "en", **words: Any) -> Message:
    """A script as it is said, with some of the words different."""
    languages = builtin_languages()
    found = find_script(script, form, language, languages)
    return render_message(found, form, languages, {**WORDS, "form": form.value, **words})


def messages(policy: Policy, *stages: str, **words: Any) -> dict[tuple[str, Form], Message]:
    """What the steps of ``stages`` say, of all if none are named, in every form they may need."""
    return {
        (part.script, form): message(part.script, form, **words)
        for step in policy.steps
        if not stages or step.stage in stages
        for _, part in step.all_parts("")
        for channel in part.channels
        for form in forms_of(policy.traits[channel])
    }
