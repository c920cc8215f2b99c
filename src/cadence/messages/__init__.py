"""What do we say? Scripts, placeholders, the wording linter."""

from cadence.messages.compose import compose
from cadence.messages.scripts import script_names, script_text
from cadence.messages.wording import Finding, lint_policy, lint_script

__all__ = ["Finding", "compose", "lint_policy", "lint_script", "script_names", "script_text"]
