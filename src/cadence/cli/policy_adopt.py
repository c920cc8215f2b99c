"""Moving prospects to another policy, with a preview unless told to go ahead."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from cadence.cli.executors import DaskOption, JobsOption, chosen_executor
from cadence.cli.policy_files import PolicyArgument, find_policy, summary
from cadence.cli.policy_layout import folded, table, to_copy
from cadence.cli.policy_preview import COUNTS, Row, Seen, look
from cadence.cli.prospects import complete
from cadence.cli.session import Session, command, new_app
from cadence.domain.plurals import plural
from cadence.errors import CadenceError, InputError, UnknownProspect, did_you_mean
from cadence.policy.loader import builtin_names
from cadence.policy.model import Policy
from cadence.prover.proof import require_proof
from cadence.store import Cadence
from cadence.store.adoption import SkipReason, adopt, policy_name
from cadence.store.service import Progress

__all__ = ["app"]

app = new_app()


@command(app, "adopt", example="cadence policy adopt our-way.toml jerry elaine")
def adopt_(
    session: Session,
    policy: PolicyArgument,
    prospects: Annotated[
        list[str] | None,
        typer.Argument(metavar="[P]...", help="The prospects' ids.", autocompletion=complete),
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every prospect.")] = False,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Only those under this policy.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Move them; else preview.")] = False,
    jobs: JobsOption = None,
    dask: DaskOption = None,
) -> None:
    """Preview or apply a move of prospects to a policy.

    No prospect is contacted sooner than was promised. After an interruption, the same command
    continues where it stopped.
    """
    from cadence.messages import check_scripts  # loads templates, which few commands need

    found = find_policy(session, policy)
    require_proof(found, policy)
    check_scripts(found, policy)
    _check_selection(prospects, everybody)
    if apply and (jobs or dask):
        option = "--jobs" if jobs else "--dask"
        raise InputError(f"{option}: invalid with --apply", "leave it out: it is for the preview")
    now = session.now()
    if apply and prospects and not session.exists():
        raise UnknownProspect(prospects[0])  # and no database is made for that
    opened = session.writing() if apply and session.exists() else session.reading()
    with opened as store, session.progress("looking") as progress:
        named = list(dict.fromkeys(prospects or ()))
        if apply:
            moved, names = 0, named or list(store.prospects())
            if names:
                moved = _adopt(session, store, found, names, from_, progress)
            if from_ is not None and not moved:
                _check_followed(store, from_, names)
        else:
            with chosen_executor(store, jobs, dask, named=len(named)) as executor:
                seen = look(
                    store,
                    found,
                    named or store.prospects(),
                    now,
                    total=len(named) or store.count(),
                    under=from_,
                    full=session.json,
                    executor=executor,
                    progress=progress,
                )
            if from_ is not None and seen.tally.total() == seen.tally[SkipReason.OTHER]:
                _check_followed(store, from_, named or list(store.prospects()))
    if apply:
        _say_moved(session, found, moved)
        return
    if session.json:
        counts = {name: seen.tally[name] for name in COUNTS}
        left = sum(seen.tally[why] for why in SkipReason)
        session.print_json({"policy": summary(found), **counts, "left": left, "moves": seen.moves})
        return
    for line in _lines(found, seen):
        session.write(line)
    if seen.tally["moved"]:
        _say_how_to_move(session, policy, ["--all"] if everybody else list(prospects or ()), from_)


def _check_selection(prospects: list[str] | None, everybody: bool) -> None:
    if not prospects and not everybody:
        raise InputError("no prospects given", "list ids or use --all")
    if prospects and everybody:
        raise InputError("prospects: invalid with --all", "give ids or --all, not both")


def _say_how_to_move(
    session: Session, policy: str, selection: list[str], from_: str | None
) -> None:
    if from_ is not None:
        selection = [*selection, "--from", from_]
    if len(selection) > 8:
        selection = ["…"]
    call = shlex.join(["cadence", "policy", "adopt", policy, *selection, "--apply"])
    for line in to_copy("nothing was changed; move them with:", call):
        session.write(line)


class _Interrupted(CadenceError):
    """A user pressed Ctrl-C while prospects were moved."""

    exit_code = 130


def _adopt(
    session: Session,
    store: Cadence,
    policy: Policy,
    names: list[str],
    under: str | None,
    progress: Progress,
) -> int:
    def done(looked: int, _: int | None) -> None:
        progress(looked, len(names))

    try:
        now, force = session.now(), session.force
        return adopt(store, policy, names, now, under=under, force=force, progress=done)
    except KeyboardInterrupt:
        raise _Interrupted(
            "interrupted: some prospects have been moved, the others are unchanged",
            "repeat the command: it continues where it stopped",
        ) from None


def _check_followed(store: Cadence, name: str, prospects: list[str]) -> None:
    """Refuse the name of a policy that none of ``prospects`` follows."""
    used = sorted({policy_name(store, store.load(one)) for one in prospects})
    if name in used:
        return
    hint = did_you_mean(
        name,
        sorted({*used, *builtin_names()}),
        otherwise=f"use one that they follow: {', '.join(used) or 'none'}",
    )
    raise InputError(
        f"--from: unknown {name!r}: none of {plural(len(prospects), 'prospect')} follows it", hint
    )


def _say_moved(session: Session, policy: Policy, moved: int) -> None:
    if session.json:
        session.print_json({"policy": summary(policy), "moved": moved})
        return
    session.write(f"{plural(moved, 'prospect')} moved to {policy.id}")


def _lines(policy: Policy, seen: Seen) -> list[str]:
    lines: list[str] = []
    tally = seen.tally
    titles = ("prospect", "next now", f"next under {policy.id}")
    if seen.rows:
        lines += table(titles, [_cells(row) for row in seen.rows], lead=1)
    if tally["moved"] > len(seen.rows):
        lines.append(f"… and {tally['moved'] - len(seen.rows):,} more; --json names every one")
    if seen.rows:
        lines.append("")
    lines += [
        f"{plural(tally['moved'], 'prospect')} would move, none contacted sooner than promised:",
        f"  {tally['later']:,} get their next touch later",
        f"  {tally['dropped']:,} lose touches ({tally['touches_dropped']:,} in all)",
        f"  {tally['added']:,} gain touches ({tally['touches_added']:,} in all)",
    ]
    left = [f"{tally[why]:,} {_WHY[why]}" for why in SkipReason if tally[why]]
    if left:
        lines.append(f"unchanged: {', '.join(left)}")
    return list(folded(lines))


def _cells(row: Row) -> tuple[str, str, str]:
    change = ["later"] if row.later else []
    if row.dropped:
        change.append(f"{row.dropped} fewer ahead")
    if row.added:
        change.append(f"{row.added} more ahead")
    return (
        row.prospect,
        row.before,
        row.after + (f"  ({', '.join(change)})" if change else ""),
    )


_WHY = {
    SkipReason.HAS_IT: "under it already",
    SkipReason.ENDED: "ended",
    SkipReason.OTHER: "under another policy",
    SkipReason.UNREADABLE: "with events that can't be read",
}
