"""Write histories as an XES log (IEEE 1849) for process mining, and read it back without loss.

A case is a prospect and an event an event, with the standard's attributes for name, time and
resource. The whole event stands beside them as JSON, and only that is read back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import IO, Final

from cadence.domain.codec import Line, encode_line
from cadence.domain.events import AttemptMade, Event, type_name
from cadence.errors import InputError
from cadence.store.service import Cadence, Progress
from cadence.transfer.exporter import Exported, write_histories
from cadence.transfer.source import BadLine, Position, Source, SourceEvent, decode_checked
from cadence.transfer.xes_reader import read_xes

__all__ = ["CadenceXesSource", "export_xes"]

_EVENT_KEY: Final = "cadence_event"
"""The attribute that holds the event's JSON."""
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MILLISECOND: Final = timedelta(milliseconds=1)
_TABS: Final = "\t\t\t"
# XML reads a bare line break in an attribute as a space.
_REFERENCES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    | {sign: f"&#{ord(sign)};" for sign in "\n\r\t"}
)

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


def export_xes(app: Cadence, out: IO[bytes], *, progress: Progress | None = None) -> Exported:
    """Write every history as one XES log."""
    out.write(_HEAD.encode())
    written = write_histories(app, out, _encode_case, progress)
    out.write(_FOOT.encode())
    return written


def _encode_case(prospect: str, events: list[Event]) -> bytes:
    name = _attribute(2, "string", "concept:name", prospect)
    return "".join(["\t<trace>\n", name, *map(_event, events), "\t</trace>\n"]).encode()


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
    # JSON has an escape for every character that XML can't hold.
    whole = _NO_XML.sub(lambda sign: f"\\u{ord(sign[0]):04x}", encode_line(event).decode())
    lines += [_attribute(3, "string", _EVENT_KEY, whole), "\t\t</event>\n"]
    return "".join(lines)


def _attribute(tabs: int, tag: str, key: str, value: str) -> str:
    quoted = _NO_XML.sub("\ufffd", value).translate(_REFERENCES)
    return f'{_TABS[:tabs]}<{tag} key="{key}" value="{quoted}"/>\n'


def _stamp(instant: datetime) -> str:
    """To the millisecond: other tools read no more, and some misread it."""
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"


class CadenceXesSource(Source):
    """The events of a log that cadence exported."""

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

    def __iter__(self) -> Iterator[SourceEvent | BadLine]:
        is_exported = False
        for case in self._cases:
            for number, row in case.events:
                self.tally.rows += 1
                is_exported = is_exported or _EVENT_KEY in row
                if not is_exported:
                    raise InputError(
                        f"{self._name}: missing mapping; the log is of another program",
                        "give --mapping NAME, or a file of your own",
                    )
                try:
                    yield SourceEvent(number, _line(row))
                except InputError as error:
                    yield BadLine.of(number, error)


def _line(row: dict[str, str]) -> Line:
    if _EVENT_KEY not in row:
        raise InputError(f"{_EVENT_KEY}: missing", "give the log as it was exported")
    line = decode_checked(row[_EVENT_KEY])
    name, stamp = row.get("concept:name"), row.get("time:timestamp")
    if name not in (None, type_name(line.data)):
        raise _mismatch("concept:name", name, type_name(line.data))
    if stamp is not None and not _is_near(stamp, line.occurred_at):
        raise _mismatch("time:timestamp", stamp, str(line.occurred_at))
    return line


def _mismatch(key: str, shown: str | None, expected: str) -> InputError:
    return InputError(
        f"{key}: invalid {shown!r}; {_EVENT_KEY} says {expected!r}",
        f"fix it in {_EVENT_KEY}, which alone counts",
    )


def _is_near(stamp: str, instant: datetime) -> bool:
    """Whether a time that other tools see is the event's, to the millisecond."""
    try:
        return abs(datetime.fromisoformat(stamp) - instant) <= _MILLISECOND
    except (ValueError, TypeError):
        return False
