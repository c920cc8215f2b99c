"""The commands that take a touch before acting, and give it back."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from typing import Annotated, Final

import msgspec
import typer

from cadence.cli.prospects import P
from cadence.cli.recording import By
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import claim_words, next_line
from cadence.domain.channels import Channel
from cadence.errors import InputError, Refused, UnknownProspect
from cadence.policy.rules import Rule

__all__ = ["app"]

app = new_app()

_LEASE: Final = re.compile(r"([0-9]{1,5}) ?(m|min|h|d)")
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


@command(app, "claim", example="cadence claim jerry --lease 15m")
def claim(
    session: Session,
    p: P,
    own: Annotated[
        str | None,
        typer.Option(metavar="CHANNEL", help="An attempt of your own, where no touch is next."),
    ] = None,
    lease: Annotated[str, typer.Option(help="For how long, like 15m or 2h.")] = "15m",
    assume_made: Annotated[
        bool,
        typer.Option(
            "--assume-made",
            help="For a machine: if the lease runs out, the touch counts as made.",
        ),
    ] = False,
    by: By = None,
) -> None:
    """Claim the touch that is next before you make it.

    Refused with 1 while another holds it, or where it is not in order now. Log the attempt as ever;
    that ends the claim. The lease runs on the machine's clock, whatever --at is.
    """
    who, length = session.who(by), _lease(lease)
    if not session.exists():
        raise UnknownProspect(p)
    with session.writing() as store:
        taken = store.claim(
            p,
            own=None if own is None else Channel(own),
            by=who,
            lease=length,
            on_expiry="assume_made" if assume_made else "return",
            at=session.now(),
            force=session.force,
        )
        prospect, decision = store.load(p), store.explain(p, session.now())
    if session.json:
        session.print_json(msgspec.to_builtins(taken))
        return
    parts = " and ".join(f"{one.channel} {one.address or ''}".rstrip() for one in taken.parts)
    what = f"{taken.step or taken.stage} by {parts}"
    session.write(f"{p}: {what}  ({claim_words(prospect, decision)})")
    session.write(f"  {next_line(prospect, decision)}")


def _lease(text: str) -> timedelta:
    match = _LEASE.fullmatch(text.strip().lower())
    if match is None:
        raise InputError(f"--lease: invalid {text!r}", "give minutes, hours or days, like 15m")
    return int(match[1]) * _UNITS[match[2]]


@command(app, "release", example="cadence release jerry")
def release(session: Session, p: P, by: By = None) -> None:
    """Give a touch back that was claimed and not made."""
    who = session.who(by)
    if not session.exists():
        raise UnknownProspect(p)
    with session.writing() as store:
        prospect = store.load(p)
        claimed = store.claimed_for(p, who)
        if claimed is not None and not claimed.is_own:
            holder = claimed.claim.by
            raise Refused(
                f"{p}: release refused by claimed: {holder} holds the claim",
                f"to release it for them: cadence release {shlex.quote(p)} --by "
                f"{shlex.quote(holder)}",
                rule=Rule.CLAIMED,
                until=claimed.claim.until,
            )
        is_released = claimed is not None and store.release(claimed.claim)
        decision = store.explain(p, session.now())
    if session.json:
        session.print_json({"prospect": p, "released": is_released})
        return
    session.write(f"{p}: {'released' if is_released else 'no claim stands'}")
    session.write(f"  {next_line(prospect, decision)}")
