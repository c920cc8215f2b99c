"""Generate the parts of the docs that the code already says: pages, pictures and the JSON Schema.

``python docs/generate.py`` writes them; with ``--check`` it fails when one is stale. Where a page
that is written by hand names every invariant or every kind of guard, its words must be those that
:func:`sentences` makes from the code: the check prints the ones to write.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import drawings
import msgspec

from cadence.cli.commands import full_command_line
from cadence.cli.policy_picture import picture
from cadence.domain import limits, stages
from cadence.domain.channels import CALL, CHANNELS, EMAIL
from cadence.domain.events import DATA_TYPES, Part
from cadence.engine import Verdict
from cadence.engine.invariants import INVARIANTS, Effect, Invariant
from cadence.policy import DEFAULT_POLICY, Policy, Rule, builtin, builtin_names
from cadence.policy.guards import Guard
from cadence.policy.writer import json_schema
from cadence.prover import prove
from cadence.prover.timetable import timetable
from cadence.store import Cadence
from cadence.store.address_book import AddressBook
from cadence.store.clock import StoreClock
from cadence.store.due_rows import DueRows
from cadence.store.histories import Histories
from cadence.store.merges import Merges
from cadence.store.policy_library import PolicyLibrary

DOCS = Path(__file__).parent


def stages_page() -> str:
    """Return ``reference/stages.md``: the picture and the whole table."""
    marks = {stages.Move.STAY: "·", stages.Move.REFUSE: "✗"}
    names = [stage.value for stage in stages.Stage]
    lines = [
        "---",
        "hide: [toc]",
        "---",
        "",
        "# Stages",
        "",
        "This page is generated from `src/cadence/domain/stages.py`, which explains each stage.",
        "",
        '<div class="drawing" markdown="1">',
        "",
        "![The stage machine: each arrow is a signal to another stage](stages.svg)",
        "",
        "</div>",
        "",
        "An arrow from the edge of a dashed box starts at every stage in the box. An arrow to a",
        "box names the earliest stage that it can reach. Signals that change no stage are not",
        "drawn.",
        "",
        "## Every cell",
        "",
        "A stage name: go there. `·`: stay. `✗`: refuse. A refusal binds commands only. A fact",
        "that the table refuses is recorded all the same, and the stage stays.",
        "",
        "| signal | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for signal in stages.Signal:
        cells = [stages.look_up(stage, signal) for stage in stages.Stage]
        shown = [marks.get(cell.move, f"**{cell.stage}**") for cell in cells]
        lines.append(f"| `{signal}` | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """Return ``reference/events.md``: every event type and its data."""
    lines = [
        "# Events",
        "",
        "This page is generated from `src/cadence/domain/events.py`. A `?` marks an optional",
        "field. Every event also has `prospect`, `version`, `occurred_at` and `recorded_at`. It",
        "may have `by`, `correlation`, `command_id` and `uncertain` (why its time is not certain).",
        "",
        "| event | data | meaning |",
        "|---|---|---|",
    ]
    for name, cls in DATA_TYPES.items():
        fields = [
            f"`{field.name}`" + ("" if field.required else "?")
            for field in msgspec.structs.fields(cls)
        ]
        meaning = (cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{name}` | {', '.join(fields) or 'none'} | {' '.join(meaning.split())} |")
    lines += ["", "## Words", "", "| field | words |", "|---|---|"]
    for name, kind in _values():
        words = ", ".join(f"`{one.value}`" for one in kind)
        lines.append(f"| `{name}` (`{kind.__name__}`) | {words} |")
    lines += [
        "",
        "## Limits",
        "",
        "A command or a line of an import with a longer text is refused, with the field. Stored",
        "events are not held against these. A list or a table has at most",
        f"{limits.ITEMS:,} values.",
        "",
        "| characters | fields |",
        "|---|---|",
    ]
    for limit in sorted(set(limits.TEXTS.values())):
        names = [f"`{name}`" for name, most in limits.TEXTS.items() if most == limit]
        lines.append(f"| {limit:,} | {', '.join(names)} |")
    return "\n".join(lines) + "\n"


_EFFECTS = {
    Effect.SKIP: "the touch is skipped",
    Effect.DELAY: "the touch is delayed",
    Effect.ASK: "its owner gets a task",
    Effect.NONE: "cannot happen",
}


def _values() -> Iterator[tuple[str, type[Enum]]]:
    """The fields of events whose values are words, with those words."""
    seen = set()
    for cls in (*DATA_TYPES.values(), Part):
        for field in msgspec.structs.fields(cls):
            kinds = (field.type, *get_args(field.type))
            for kind in kinds:
                if isinstance(kind, type) and issubclass(kind, Enum) and kind not in seen:
                    seen.add(kind)
                    yield field.name, kind


_PARTS = {
    "app": Cadence,
    "app.histories": Histories,
    "app.due_rows": DueRows,
    "app.library": PolicyLibrary,
    "app.addresses": AddressBook,
    "app.merges": Merges,
    "app.clock": StoreClock,
}


def service_page() -> str:
    """Return ``reference/service.md``: every call of the service in a line."""
    lines = [
        "# The service",
        "",
        "`app = Cadence.open(…)`. This page is generated: a line for each call. Where a call has",
        "more to say (arguments, errors), the [API](api/store.md) says it, on the site that",
        "`make docs` builds; so does `help(Cadence.due)`. [Embed cadence](../tutorials/embed.md)",
        "shows the first ones in use. Calls that only parts of cadence make are left out: they may",
        "change at any time.",
    ]
    for name, part in _PARTS.items():
        lines += ["", f"## `{name}`", "", "| call | does |", "|---|---|"]
        for call, member in vars(part).items():
            member = getattr(member, "__func__", member)  # a class method
            if call.startswith("_") or not inspect.isfunction(member) or call in _INSIDE:
                continue
            given = [one for one in inspect.signature(member).parameters if one not in _OF_CLASS]
            said = " ".join((member.__doc__ or "").split("\n\n")[0].split())
            lines.append(f"| `{call}({', '.join(given)})` | {_without_roles(said)} |")
    return "\n".join(lines) + "\n"


_OF_CLASS = ("self", "cls")
_INSIDE = {
    *("source", "open_source", "stale", "is_wrong", "stamp", "row", "refreshed", "begin"),
    *("find_unnamed", "judging", "with_arriving", "is_shared", "others_of", "prepare"),
    *("append_prepared", "goes_to", "came_since", "survivors", "updated_survivors", "rows_for"),
    *("rows_of", "shared_among", "is_whole"),
}
"""What only other parts of cadence call."""


def _without_roles(text: str) -> str:
    """Text of a docstring as Markdown."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


def invariants_page(rows: Iterable[Invariant] = INVARIANTS) -> str:
    """Return ``reference/invariants.md``: the table of invariants, in the order of the design."""
    proved = {rule.rule: rule.how for rule in prove(builtin(DEFAULT_POLICY)).rules}
    lines = [
        "# Invariants",
        "",
        "This page is generated from `src/cadence/engine/invariants.py`. An invariant holds for",
        "every history, whatever a policy says. [Guarantees](guarantees.md) names the tests that",
        "hold each.",
        "",
        "| | rule | promise | holds | where a touch would break it |",
        "|---|---|---|---|---|",
    ]
    ordered = sorted(rows, key=lambda row: row.number)
    for row in ordered:
        effect = _EFFECTS[row.effect]
        within = "within a silence" if row.within_silence else "always"
        lines.append(f"| {row.number} | `{row.id}` | {row.promise} | {within} | {effect} |")
    lines += [
        "",
        "## What a refusal says",
        "",
        "A command that would break an invariant is refused with these words. An attempt that was",
        "made all the same is recorded, with the rule among those it `broke`.",
        "",
        "| rule | words |",
        "|---|---|",
        *(f"| `{row.id}` | {row.refusal} |" for row in ordered if row.refusal),
        "",
        "## How each is proved",
        "",
        "`cadence policy check POLICY` proves each for one policy.",
        "[Proof](../explanation/proof.md) explains it.",
        "",
        f"| rule | by | for `{DEFAULT_POLICY}` |",
        "|---|---|---|",
    ]
    for row in ordered:
        lines.append(f"| `{row.id}` | {row.proved_by} | {proved.get(row.id, row.how_proved)} |")
    return "\n".join(lines) + "\n"


def policies_page() -> str:
    """Return ``reference/policies.md``: each policy of the catalogue, its source and timetable."""
    lines = [
        "# The catalogue",
        "",
        "This page is generated from `src/cadence/policy/builtin/*.toml`. Each file explains every",
        "number beside its step. `cadence policy show NAME` draws a policy.",
        "",
        "A timetable shows a prospect who has every channel, prefers none, agreed to the",
        "guidelines and never answers. Day 0 is the business day of the first attempt. A response,",
        "an opt-out or an end stops the plan at any line. Lateness, holidays and guards make it",
        "longer, never denser.",
        "",
        "| policy | source | most attempts | in 7 days | in 30 days |",
        "|---|---|---|---|---|",
    ]
    names = sorted(builtin_names(), key=lambda name: (name != DEFAULT_POLICY, name))
    for name in names:
        found = builtin(name)
        proof = prove(found)
        assert proof.bounds is not None, f"{name} is refuted"
        most, week, month = (
            proof.bounds.attempts_in_silence,
            proof.bounds.attempts_in_7_days,
            proof.bounds.attempts_in_30_days,
        )
        lines.append(f"| [`{name}`](#{name}) | {found.source} | {most} | {week} | {month} |")
    lines += [
        "",
        "The three numbers are proved bounds for one silence. They count a polite exit that is not",
        "delivered once for each channel.",
    ]
    for name in names:
        lines += ["", f"## {name}", "", *_policy(builtin(name))]
    return "\n".join(lines) + "\n"


def _policy(policy: Policy) -> Iterator[str]:
    yield _first_comment(policy.id)
    yield ""
    yield f"Source: “{policy.source}”. File: `src/cadence/policy/builtin/{policy.id}.toml`."
    horizon = policy.horizon_business_days
    yield f"After {horizon} business days of silence only the polite exit is left."
    yield ""
    yield "```"
    yield from picture(list(timetable(policy)))
    yield "```"
    yield ""
    yield "| day | time | touch | channels | after |"
    yield "|---|---|---|---|---|"
    for entry in timetable(policy):
        channels = " and ".join(entry.channels)
        name = f"`{entry.step}`" if channels else f"**{entry.step}**"
        yield f"| {entry.business_day} | {entry.at} | {name} | {channels} | {entry.gap} |"
    yield ""
    yield "| who has only | touches | closed on day |"
    yield "|---|---|---|"
    for only in ((CALL, EMAIL), *((channel,) for channel in CHANNELS)):
        *touches, end = timetable(policy, only)
        closed = end.business_day if end.step == Verdict.CLOSE else f"never: a {end.step}"
        yield f"| {' and '.join(only)} | {len(touches)} | {closed} |"


def _first_comment(name: str) -> str:
    """Return the comment at the top of a policy file, without the line that names it."""
    source = resources.files("cadence.policy").joinpath("builtin", f"{name}.toml")
    comment = source.read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    return "\n".join(line.removeprefix("#").strip() for line in comment[1:]).strip()


_INSTANTS = """\
An *INSTANT* is one of these. What is not given in full is shown on stderr as it was read, with its
zone.

| form | means |
|---|---|
| `2026-12-01T14:00:00Z`, `2026-12-01 09:00-05:00` | an instant, with `Z` or an offset |
| `2026-12-01 09:00` | a local time of the prospect's |
| `today 9:00`, `tomorrow 9:00`, `yesterday 9:00` | on that day of the prospect's |
| `fri 14:30` | the next Friday; for `--occurred` and `replay --until` the last one |
| `+2h`, `-10min` | so long after or before now (`--at`) |
| `+3d`, `+2w` | so many days or weeks later, at the same time of day |

A local time is an error where clocks show it twice or skip it, where it differs between the zones
that a prospect may be in, and where a weekday is today. The error names the instants to choose
from. A command without a prospect, such as `due`, has no zone. There `--at` needs `Z` or an
offset, and a day is 24 hours."""


def cli_page() -> str:
    """Return ``reference/cli.md``: every command with its arguments and options."""
    app: Any = full_command_line()
    lines = [
        "# Command line",
        "",
        "This page is generated from the help of the commands.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | done; an empty list too |",
        "| 1 | refused, or a check found something |",
        "| 2 | wrong usage or input; an unknown prospect too |",
        "",
        "An error is two lines on stderr: what is wrong, and how to fix it.",
        "",
        *_INSTANTS.splitlines(),
        "",
        "Every command takes these options, before or after its name:",
        "",
        *_options(app.params, everywhere=()),
    ]
    for name, command in app.commands.items():
        for title, one in [(name, command), *_subcommands(name, command)]:
            lines += ["", f"{'###' if ' ' in title else '##'} {title}", "", one.help or "", ""]
            if not hasattr(one, "commands"):
                lines += [f"    {_usage(title, one)}", ""]
                lines += _options(one.params)
            if one.epilog:
                lines += ["", "For example:", "", _example(one.epilog)]
    return "\n".join(lines) + "\n"


def _subcommands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    for below, one in getattr(command, "commands", {}).items():
        yield f"{name} {below}", one


def _usage(title: str, command: Any) -> str:
    words = [f"cadence {title}", "[OPTIONS]"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.metavar or parameter.name.upper()
            word = f"{name}…" if parameter.nargs == -1 else name
            words.append(word if parameter.required else f"[{word}]")
    return " ".join(words)


def _options(
    parameters: list[Any], everywhere: tuple[str, ...] = ("db", "at", "json")
) -> Iterator[str]:
    """Yield the table of a command's options, without those that every command takes."""
    shown = [
        parameter
        for parameter in parameters
        if parameter.param_type_name == "option"
        and not parameter.hidden
        and parameter.name not in everywhere
    ]
    if not shown:
        return
    yield "| option | meaning |"
    yield "|---|---|"
    for parameter in shown:
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        meaning = (parameter.help or "").replace("|", "\\|")
        choices = getattr(parameter.type, "choices", None)
        if choices:
            meaning += f" One of {', '.join(f'`{one}`' for one in choices)}."
        if parameter.required:
            meaning += " **Required.**"
        yield f"| {names} {parameter.metavar or ''} | {meaning} |"


def _example(epilog: str) -> str:
    """Return a command's example as a block of code."""
    return "\n".join(
        f"    {line.strip().removeprefix('Example: ')}" for line in epilog.splitlines()
    )


def decisions_page() -> str:
    """Return ``adr/index.md``: the list of decision records with their status."""
    lines = [
        "# Decisions",
        "",
        "A decision record (ADR) says why something is as it is, and what else was considered. Its",
        "title is the decision. One that is overtaken names its successor.",
        "",
        "| decision | status |",
        "|---|---|",
    ]
    for path in sorted((DOCS / "adr").glob("0*.md")):
        title, _, status = path.read_text(encoding="utf-8").split("\n## ")[0].partition("\n")
        status = " ".join(status.split())
        lines.append(f"| [{title.removeprefix('# ')}]({path.name}) | {status} |")
    return "\n".join(lines) + "\n"


def schema() -> str:
    """Return ``reference/policy.schema.json``: the JSON Schema of policy files, for editors."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"


PAGES = {
    "reference/cli.md": cli_page,
    "reference/stages.md": stages_page,
    "reference/stages.svg": drawings.stage_machine,
    "reference/events.md": events_page,
    "reference/service.md": service_page,
    "reference/invariants.md": invariants_page,
    "reference/policies.md": policies_page,
    "reference/policy.schema.json": schema,
    "adr/index.md": decisions_page,
    "explanation/packages.svg": drawings.packages,
    "explanation/way-of-the-data.svg": drawings.way_of_the_data,
}


# Pages written by hand ----------------------------------------------------------------------------


def sentences() -> dict[str, list[str]]:
    """Return what pages written by hand have to say somewhere, whatever the line breaks."""
    rows = sorted(INVARIANTS, key=lambda row: row.number)
    within = [row for row in rows if row.within_silence]
    by_audit = [row.id for row in rows if row.id in _named_by("audit/invariants.py")]
    asked = [row.id for row in rows if row.id in _named_by("audit/plan_rules.py")]
    decided = [row.id for row in rows if row.id not in (*by_audit, *asked)]
    kinds = _code(type_name for type_name in _guard_kinds() if type_name != "custom")
    return {
        "design.md": [
            *(f"{row.number}. `{row.id}`: " for row in rows),
            f"Rules {_listed(str(row.number) for row in within)} hold within a silence.",
        ],
        "explanation/invariants.md": [
            f"{_listed(_code(row.id for row in within))} hold within a silence."
        ],
        "explanation/proof.md": [f"`{row.id}`" for row in rows],
        "explanation/audit.md": [
            f"The invariants {_listed(_code(by_audit))} are judged by",
            f"{_listed(_code(decided))} are about what is decided.",
            f"- Invariants: {', '.join(_code(by_audit))}, and {_listed(_code(asked))} (",
            f"- Each guard of the policy by its name ({', '.join(kinds)})",
        ],
        "reference/guarantees.md": [f"| `{row.id}` | " for row in rows],
        "reference/policy-files.md": [f"| {kind} | " for kind in (*kinds, "`custom`")],
        "tutorials/change-the-cadence.md": [f"{_listed(kinds)} are kinds of their own."],
    }


def _named_by(module: str) -> set[str]:
    """Return the rules whose ids a module of the package names."""
    source = resources.files("cadence").joinpath(*module.split("/")).read_text(encoding="utf-8")
    return {Rule[name].value for name in re.findall(r"\bRule\.([A-Z_]+)", source)}


def _guard_kinds() -> list[str]:
    return [str(kind.__struct_config__.tag) for kind in get_args(Guard)]


def _code(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _missing() -> Iterator[tuple[str, str]]:
    """Yield each page that lacks a sentence, with the sentence."""
    for name, needed in sentences().items():
        text = " ".join((DOCS / name).read_text(encoding="utf-8").split())
        yield from ((name, one) for one in needed if " ".join(one.split()) not in text)


def main() -> int:
    """Write the generated files, or check them and what pages written by hand have to say."""
    stale = []
    for name, make in PAGES.items():
        path = DOCS / name
        text = make()
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        sys.stderr.write(f"docs/{name} is stale\ngenerate it with: make docs\n")
    missing = list(_missing())
    for name, sentence in missing:
        sys.stderr.write(f"docs/{name} is stale\nfix it by hand; it must say: {sentence}\n")
    return 1 if stale or missing else 0


if __name__ == "__main__":
    sys.exit(main())
