"""Write the words of a touch: scripts, placeholders and the wording linter."""

from cadence.messages.compose import compose
from cadence.messages.lint import Finding, check_scripts, lint_policy, lint_script
from cadence.messages.scripts import script_names, script_text

__all__ = [
    "Finding",
    "check_scripts",
    "compose",
    "lint_policy",
    "lint_script",
    "script_names",
    "script_text",
]
