"""Moving prospects to another policy, with a preview unless told to go ahead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
import typer

from cadence.cli.policies import PolicyArgument, find_policy, summary
from cadence.cli.session import Session, command
from cadence.cli.show import paint
from cadence.errors import InputError
from cadence.history.words import clock
from cadence.policy.decision import Decision, Verdict
from cadence.policy.prove import require_proof
from cadence.store import Cadence
from cadence.store.adoption import Move, adopt, preview

__all__ = ["register"]

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add this command to ``app``."""

    @command(app, "adopt", example="cadence policy adopt our-way.toml jerry elaine")
    def adopt_(
        session: Session,
        policy: PolicyArgument,
        prospects: Annotated[
            list[str] | None, typer.Argument(metavar="[P]...", help="Whom to move.")
        ] = None,
        everybody: Annotated[bool, typer.Option("--all", help="Every prospect.")] = False,
        from_: Annotated[
            str | None, typer.Option("--from", metavar="NAME", help="Only those under this policy.")
        ] = None,
        apply: Annotated[bool, typer.Option("--apply", help="Move them; else preview.")] = False,
    ) -> None:
        """Preview what moving prospects to a policy means for each; with --apply, move them.

        Nobody is contacted sooner than was promised. Interrupted, and repeated, it goes on where
        it stopped.
        """
        found = find_policy(policy)
        require_proof(found, policy)
        if not prospects and not everybody:
            raise InputError("nobody is named", "name prospects, or say --all")
        if prospects and everybody:
            raise InputError("prospects and --all", "give one of them")
        now = session.now()
        opened = session.writing() if apply else session.reading()
        with opened as store, session.progress("looking") as progress:
            names = _chosen(store, prospects, from_)
            if apply:
                moved = adopt(store, found, names, now, progress=progress)
                _say_moved(session, found.id, moved)
                return
            tally: Counter[str] = Counter()
            shown: list[Move] = []
            for number, move in enumerate(preview(store, found, names, now), 1):
                _count(tally, move)
                if move is not None and (session.json or len(shown) < _SHOWN):
                    shown.append(move)
                if number % 1000 == 0:
                    progress(number, None)
        if session.json:
            moves = [_plain(move) for move in shown]
            counts = {name: tally[name] for name in _NAMES}
            session.print_json({"policy": summary(found), **counts, "moves": moves})
            return
        for line in _lines(found.id, tally, shown, policy):
            session.write(line)


_NAMES = ("moved", "left", "later", "dropped", "added", "touches_dropped", "touches_added")


def _chosen(store: Cadence, prospects: list[str] | None, name: str | None) -> Iterable[str]:
    chosen: Iterator[str] = iter(prospects) if prospects else store.prospects()
    if name is None:
        return chosen
    return (one for one in chosen if _policy_name(store, one) == name)


def _policy_name(store: Cadence, prospect: str) -> str:
    adopted = store.load(prospect).policy
    return store.policies.default.id if adopted is None else adopted.name


def _count(tally: Counter[str], move: Move | None) -> None:
    if move is None:
        tally["left"] += 1
        return
    tally["moved"] += 1
    tally["later"] += move.later
    tally["dropped"] += move.dropped > 0
    tally["added"] += move.added > 0
    tally["touches_dropped"] += move.dropped
    tally["touches_added"] += move.added


def _say_moved(session: Session, name: str, moved: int) -> None:
    if session.json:
        session.print_json({"policy": name, "moved": moved})
        return
    session.write(f"{moved} prospect{'' if moved == 1 else 's'} moved to {name}")


def _plain(move: Move) -> dict[str, Any]:
    return {
        "prospect": move.prospect.id,
        "before": _decision(move.before),
        "after": _decision(move.after),
        "later": move.later,
        "dropped": move.dropped,
        "added": move.added,
        "not_before": msgspec.to_builtins(move.promised),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    step = None if decision.touch is None else decision.touch.step
    at = msgspec.to_builtins(decision.at)
    return {"decision": decision.decision.value, "step": step, "at": at}


def _lines(name: str, tally: Counter[str], shown: list[Move], argument: str) -> list[str]:
    lines = [paint(f"{'prospect':20} {'next now':36} next under {name}", "bold")]
    for move in shown:
        before, after = _next(move, move.before), _next(move, move.after)
        change = []
        if move.dropped:
            change.append(f"{move.dropped} fewer ahead")
        if move.added:
            change.append(f"{move.added} more ahead")
        said = f"  ({', '.join(change)})" if change else ""
        lines.append(f"{move.prospect.id:20} {before:36} {after}{said}")
    if tally["moved"] > len(shown):
        lines.append(f"… and {tally['moved'] - len(shown)} more")
    lines += [
        "",
        f"{tally['moved']} would move: {tally['later']} get their next touch later, "
        f"{tally['dropped']} lose touches ({tally['touches_dropped']}), "
        f"{tally['added']} gain some ({tally['touches_added']}); nobody sooner than promised",
    ]
    if tally["left"]:
        lines.append(f"{tally['left']} are left alone: they have ended, or have it already")
    if tally["moved"]:
        lines.append(
            f"nothing was changed; move them with: cadence policy adopt {argument} … --apply"
        )
    return lines


def _next(move: Move, decision: Decision) -> str:
    if decision.touch is not None:
        return f"{decision.touch.step} {clock(move.prospect, decision.at)}"
    if decision.decision is Verdict.WAIT:
        return f"awaits answer {clock(move.prospect, decision.at)}"
    return str(decision.decision)
