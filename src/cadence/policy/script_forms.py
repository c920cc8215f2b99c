"""Define the forms of a script: one message by voicemail, in a conversation, by email or letter."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from cadence.domain.channels import AddressKind, ChannelTraits

__all__ = ["EmailText", "Form", "Script", "ScriptForms", "forms_of"]

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Form(StrEnum):
    """How a message is said."""

    VOICEMAIL = "voicemail"
    LIVE = "live"
    """A conversation: what to say, to ask, to agree and to log."""
    EMAIL = "email"
    SMS = "sms"
    LETTER = "letter"


class EmailText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An email: ``subject`` and ``text`` are templates."""

    subject: _Text
    text: _Text


class ScriptForms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A script in its forms; each is a template.

    Attributes:
        voicemail: left on a machine.
        live: said in a conversation.
        email: an email, or the email of a video.
        sms: a text, or a message by handle.
        letter: a letter; an email's text, if it has none.
        languages: the script in further languages, by their codes.
    """

    voicemail: _Text | None = None
    live: _Text | None = None
    email: EmailText | None = None
    sms: _Text | None = None
    letter: _Text | None = None
    languages: dict[str, ScriptForms] = {}


Script = str | ScriptForms
"""A text that is said in every form, or one text a form."""

_BY_ADDRESS: Final = {
    AddressKind.PHONE: Form.SMS,
    AddressKind.HANDLE: Form.SMS,
    AddressKind.EMAIL: Form.EMAIL,
    AddressKind.POST: Form.LETTER,
}


def forms_of(traits: ChannelTraits) -> tuple[Form, ...]:
    """Return the forms that a channel needs; a call needs two, by who or what answers it."""
    if traits.spoken:
        return Form.VOICEMAIL, Form.LIVE
    return (_BY_ADDRESS[traits.address],)
