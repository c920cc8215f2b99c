"""Write the words of a touch: scripts in their forms and languages, and the wording linter."""

from cadence.domain.team import Owner, Team, missing_facts
from cadence.messages.compose import compose, language_for
from cadence.messages.email import to_email
from cadence.messages.languages import builtin_languages, languages_of, parse_language
from cadence.messages.lint import Finding, check_scripts, lint_policy, lint_script
from cadence.messages.notes import completed, faults_of_note
from cadence.messages.scripts import script_names
from cadence.messages.sms import sms_parts
from cadence.policy.script_forms import Form

__all__ = [
    "Finding",
    "Form",
    "Owner",
    "Team",
    "builtin_languages",
    "check_scripts",
    "completed",
    "compose",
    "faults_of_note",
    "language_for",
    "languages_of",
    "lint_policy",
    "lint_script",
    "missing_facts",
    "parse_language",
    "script_names",
    "sms_parts",
    "to_email",
]
