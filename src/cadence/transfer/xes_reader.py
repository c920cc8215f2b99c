"""Read XES logs (IEEE 1849) as a stream, with one case in memory at most.

A file may come from an attacker. So a DOCTYPE and entities are refused before they are looked at;
XES needs neither. Elements outside the log's own structure are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from xml.parsers import expat

from cadence.domain.limits import DEPTH, LINE_BYTES
from cadence.errors import InputError

__all__ = ["Case", "read_xes"]

_MAX_BLOCK: Final = LINE_BYTES // 4
_LOG, _TRACE, _EVENT = range(1, 4)
"""The depth at which these elements stand."""


class Case(NamedTuple):
    """One case of a log: its attributes, and its events with the lines in which they begin.

    An event that stands outside any case, which XES allows, comes as ``is_outside`` with no values.
    """

    line: int
    attributes: dict[str, str]
    events: list[tuple[int, dict[str, str]]]
    is_outside: bool = False


def read_xes(blocks: Iterable[bytes], name: str) -> Iterator[Case]:
    """Iterate over the cases of a log, each as soon as it is complete.

    Args:
        blocks: the bytes of the file.
        name: what to call it in errors.

    Raises:
        InputError: the file is not a log, has a DOCTYPE or entities, or is nested too deep.
    """
    reader = _LogReader(name)
    parser = reader.parser
    fed = 0
    waiting = bytearray()
    for block in blocks:
        waiting += block
        # The parser reads an incomplete element again from its beginning. So the blocks grow with
        # the element; else a long one would take quadratic time.
        if len(waiting) < min(fed - parser.CurrentByteIndex, _MAX_BLOCK):
            continue
        reader.feed(bytes(waiting))
        fed += len(waiting)
        waiting.clear()
        if fed - parser.CurrentByteIndex > LINE_BYTES:
            raise reader.error(
                f"invalid XES: an element is longer than {LINE_BYTES // 1024**2} MB",
                "give an XES log",
            )
        yield from reader.take_cases()
    reader.feed(bytes(waiting))
    reader.feed(b"", final=True)
    yield from reader.take_cases()


class _LogReader:
    """The handlers of the XML parser: they collect cases and refuse other files."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._cases: list[Case] = []
        self._case = Case(0, {}, [])
        self._attributes: dict[str, str] = {}
        self._depth = 0
        self._case_begins = 0  # its first byte
        self._inside = 0  # the depth of the innermost log, trace or event
        self._trace, self._event = "trace", "event"
        self.parser = expat.ParserCreate()
        self.parser.ordered_attributes = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        for event in ("StartDoctypeDecl", "EntityDecl", "ExternalEntityRef", "UnparsedEntityDecl"):
            setattr(self.parser, f"{event}Handler", self._refuse_entities)

    def feed(self, block: bytes, *, final: bool = False) -> None:
        """Parse the next block.

        Raises:
            InputError: it is not XML or not a log.
        """
        try:
            self.parser.Parse(block, final)
        except expat.ExpatError as error:
            what = expat.errors.messages.get(error.code, "no XML")
            raise InputError(
                f"{self._name}: line {error.lineno}: invalid XML: {what} "
                f"(column {error.offset + 1})",
                "fix it there, or export the log again; nothing was imported",
            ) from None
        except (LookupError, ValueError):  # of Python's codecs, which know what the parser doesn't
            raise self.error(
                "invalid XML: unknown encoding", "use UTF-8; nothing was imported"
            ) from None

    def take_cases(self) -> list[Case]:
        """Give the cases that are complete, once."""
        cases, self._cases = self._cases, []
        return cases

    def error(self, what: str, hint: str) -> InputError:
        """Make an error that names the current line."""
        return InputError(f"{self._name}: line {self.parser.CurrentLineNumber}: {what}", hint)

    def _refuse_entities(self, *_: object) -> None:
        raise self.error(
            "invalid XES: has a DOCTYPE or entities, which can do harm",
            "give the log without them; XES needs neither",
        )

    def _start(self, tag: str, pairs: list[str]) -> None:
        depth = self._depth = self._depth + 1
        inside = self._inside
        if depth == inside + 1 and inside >= _TRACE:
            if inside == _TRACE and tag == self._event:
                self._inside = _EVENT
                if self.parser.CurrentByteIndex - self._case_begins > LINE_BYTES:
                    raise self.error(
                        f"invalid XES: a case is longer than {LINE_BYTES // 1024**2} MB",
                        "give a log with smaller cases",
                    )
                self._attributes = {}
                self._case.events.append((self.parser.CurrentLineNumber, self._attributes))
            elif len(pairs) == 4 and pairs[0] == "key" and pairs[2] == "value":
                self._attributes[pairs[1]] = pairs[3]
            else:
                named = dict(zip(pairs[::2], pairs[1::2], strict=True))
                if "key" in named and "value" in named:
                    self._attributes[named["key"]] = named["value"]
        elif depth == _TRACE and inside == _LOG and tag == self._trace:
            self._inside = _TRACE
            self._attributes = {}
            self._case = Case(self.parser.CurrentLineNumber, self._attributes, [])
            self._case_begins = self.parser.CurrentByteIndex
        elif depth == _TRACE and inside == _LOG and tag == self._event:
            line = self.parser.CurrentLineNumber
            self._cases.append(Case(line, {}, [(line, {})], is_outside=True))
        elif depth == _LOG:
            self._start_log(tag)
        elif depth > DEPTH:
            raise self.error(
                f"invalid XES: elements nested more than {DEPTH} deep", "give an XES log"
            )

    def _start_log(self, tag: str) -> None:
        prefix, colon, own = tag.rpartition(":")
        if own != "log":
            raise InputError(
                f"{self._name}: invalid XES: its root is {tag!r}, not log", "give an XES log"
            )
        self._trace, self._event = f"{prefix}{colon}trace", f"{prefix}{colon}event"
        self._inside = _LOG

    def _end(self, tag: str) -> None:
        depth = self._depth
        self._depth = depth - 1
        if depth == self._inside:
            self._inside = depth - 1
            if depth == _EVENT:
                self._attributes = self._case.attributes
            elif depth == _TRACE:
                self._cases.append(self._case)
