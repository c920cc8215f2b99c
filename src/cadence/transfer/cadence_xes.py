"""Histories as an XES log (IEEE 1849), for process-mining tools, and back again without loss.

A case a prospect, an event an event, with the standard's attributes for name, time and resource.
The whole event stands beside them as JSON; that is what is read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import IO, Final

from cadence.domain.codec import Line, decode_line, encode_line
from cadence.domain.events import AttemptMade, Event, ProspectUpdated, type_name
from cadence.engine.commands import check_fact
from cadence.errors import InputError
from cadence.store.service import Cadence
from cadence.transfer.source import Position, Source
from cadence.transfer.staging import BadLine, Found
from cadence.transfer.xes_reader import read_xes

__all__ = ["OwnXes", "export_xes"]

_WHOLE: Final = "cadence_event"
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849.2016" xes.features="" xmlns="http://www.xes-standard.org/">
\t<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
\t<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
\t<extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
\t<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
\t<global scope="trace">
\t\t<string key="concept:name" value="unknown"/>
\t</global>
\t<global scope="event">
\t\t<string key="concept:name" value="unknown"/>
\t\t<string key="lifecycle:transition" value="complete"/>
\t\t<date key="time:timestamp" value="1970-01-01T00:00:00.000Z"/>
\t</global>
\t<classifier name="Event" keys="concept:name"/>
\t<classifier name="Event and transition" keys="concept:name lifecycle:transition"/>
\t<string key="concept:name" value="cadence"/>
"""
_FOOT: Final = "</log>\n"


def export_xes(
    app: Cadence, out: IO[bytes], *, progress: Callable[[int, int | None], None] | None = None
) -> int:
    """Write every history as one XES log, prospect by prospect, in order of version.

    Returns:
        How many events were written.
    """
    out.write(_HEAD.encode())
    written = 0
    for number, prospect in enumerate(app.prospects(), 1):
        events = app.history(prospect)
        out.write(f"\t<trace>\n{_attribute(2, 'string', 'concept:name', prospect)}".encode())
        for event in events:
            out.write(_event(event).encode())
        out.write(b"\t</trace>\n")
        written += len(events)
        if progress is not None:
            progress(number, None)
    out.write(_FOOT.encode())
    return written


def _attribute(tabs: int, tag: str, key: str, value: str) -> str:
    # What XML can't hold is left out; line breaks would be read as spaces if they stood there.
    quoted = _NO_XML.sub("\ufffd", value).translate(_REFERENCES)
    return f'{_TABS[:tabs]}<{tag} key="{key}" value="{quoted}"/>\n'


_TABS: Final = "\t\t\t"
_REFERENCES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    | {one: f"&#{ord(one)};" for one in "\n\r\t"}
)


def _stamp(instant: datetime) -> str:
    """To the millisecond: other tools read no more, and some read more wrongly."""
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"


def _event(event: Event) -> str:
    data = event.data
    lines = [
        "\t\t<event>\n",
        _attribute(3, "string", "concept:name", type_name(data)),
        _attribute(3, "string", "lifecycle:transition", "complete"),
        _attribute(3, "date", "time:timestamp", _stamp(event.occurred_at)),
    ]
    if event.by:
        lines.append(_attribute(3, "string", "org:resource", event.by))
    if isinstance(data, AttemptMade):
        if data.stage is not None:
            lines.append(_attribute(3, "string", "stage", data.stage))
        for key in ("channel", "disposition"):
            words = " ".join(getattr(part, key) for part in data.parts)
            lines.append(_attribute(3, "string", f"{key}s", words))
    # JSON has an escape for whatever XML can't hold.
    whole = _NO_XML.sub(lambda sign: f"\\u{ord(sign[0]):04x}", encode_line(event).decode())
    lines += [_attribute(3, "string", _WHOLE, whole), "\t\t</event>\n"]
    return "".join(lines)


class OwnXes(Source):
    """The events of a log that was exported here, as something to import."""

    def __init__(
        self, blocks: Iterable[bytes], name: str, position: Position | None = None
    ) -> None:
        """Args:
        blocks: the bytes of the file, unpacked.
        name: what to call the file in errors.
        position: says how many bytes have been read.
        """
        super().__init__(position)
        self._name = name
        self._cases = read_xes(blocks, name)

    def __iter__(self) -> Iterator[Found | BadLine]:
        any_whole = False
        for case in self._cases:
            for number, row in case.events:
                self.tally.rows += 1
                any_whole = any_whole or _WHOLE in row
                if not any_whole:
                    raise InputError(
                        f"{self._name}: is a log of another program",
                        "say what its events stand for: --mapping NAME, or a file of your own",
                    )
                try:
                    yield Found(number, _line(row))
                except InputError as error:
                    yield BadLine.of(number, error)


def _line(row: dict[str, str]) -> Line:
    if _WHOLE not in row:
        raise InputError(f"{_WHOLE}: is missing", "export the histories again")
    line = decode_line(row[_WHOLE])
    if not isinstance(line.data, ProspectUpdated):  # its country may stand above
        check_fact(line.data)
    name, shown = type_name(line.data), row.get("time:timestamp")
    _check("concept:name", row.get("concept:name"), name, row.get("concept:name") in (None, name))
    _check("time:timestamp", shown, line.occurred_at, shown is None or _near(shown, line))
    return line


def _check(key: str, found: str | None, wanted: object, same: bool) -> None:
    if not same:
        raise InputError(
            f"{key}: {found!r} is not what {_WHOLE} says ({str(wanted)!r})",
            f"only {_WHOLE} counts: change it there",
        )


def _near(shown: str, line: Line) -> bool:
    """Whether the time that other tools see is the event's, to the millisecond."""
    try:
        return abs(datetime.fromisoformat(shown) - line.occurred_at) <= _MILLISECOND
    except (ValueError, TypeError):
        return False


_MILLISECOND: Final = timedelta(milliseconds=1)
