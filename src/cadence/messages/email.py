"""Make an email of a part, which any mailer can send."""

from __future__ import annotations

import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from cadence.domain.channels import EMAIL, VIDEO_EMAIL
from cadence.domain.prospect import Attempt, Prospect
from cadence.domain.team import Team, owner_of
from cadence.errors import InputError
from cadence.policy.touch import Touch, TouchPart

__all__ = ["first_email", "to_email"]

_EMAILS: Final = frozenset({EMAIL, VIDEO_EMAIL})
# Folded at 78 characters, the library puts spaces into long names and subjects with other letters
# than ASCII. RFC 5322 allows lines of 998.
_POLICY: Final = SMTP.clone(max_line_length=998)


def to_email(touch: Touch, part: TouchPart, prospect: Prospect, team: Team) -> EmailMessage:
    """Return an email with its headers; one that follows others of the silence answers the first.

    Its ``Message-ID`` is made from the touch, so the same touch has the same one on every machine.

    Args:
        touch: composed (:func:`~cadence.messages.compose`).
        part: the part of it in the form of an email.
        prospect: who it is for.
        team: who sends it.

    Raises:
        InputError: the part is no email, or the owner has no address to send it from.
    """
    if part.form != "email":
        raise InputError(f"form: invalid {part.form!r}", "give a composed part with an email")
    owner_id, owner = owner_of(team, prospect.identity.owner)
    if not owner.email:
        name = f"team.owners.{owner_id or 'OWNER'}.email"
        raise InputError(f"{name}: missing", f"set it with: cadence settings {name}")
    domain = owner.email.rpartition("@")[2]
    message = EmailMessage(policy=_POLICY)
    message["From"] = _address(owner.name or team.company or "", owner.email)
    message["To"] = _address(prospect.identity.name, part.address)
    message["Subject"] = part.subject
    message["Message-ID"] = _message_id(touch.id, domain)
    first = first_email(prospect)
    if first is not None and first.touch is not None:
        message["In-Reply-To"] = message["References"] = _message_id(first.touch, domain)
    # Lines of any length and any letters pass through every server.
    message.set_content(part.text, charset="utf-8", cte="quoted-printable")
    return message


def first_email(prospect: Prospect) -> Attempt | None:
    """Return the attempt that sent the first email of the silence; ``None`` if no touch did."""
    for attempt in prospect.silence.attempts:
        if attempt.touch and any(made.channel in _EMAILS for made in attempt.parts):
            return attempt
    return None


def _message_id(touch: str, domain: str) -> str:
    return f"<{hashlib.sha256(touch.encode()).hexdigest()[:32]}@{domain}>"


def _address(name: str, address: str) -> Address:
    # A name with a line break would end the header.
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return Address(shown, addr_spec=address)
