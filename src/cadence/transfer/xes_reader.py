"""Reading XES logs (IEEE 1849) as they stream by: an event at a time, a case in memory at most.

The file may be anybody's, so whatever makes XML dangerous is refused before it is looked at: XES
needs neither a DOCTYPE nor entities. What does not belong to the log's own shape is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple
from xml.parsers import expat

from cadence.errors import InputError
from cadence.transfer.input_file import LONGEST_LINE

__all__ = ["Case", "read_xes"]

_DEEPEST: Final = 100
_AT_ONCE: Final = LONGEST_LINE // 4
_LOG, _TRACE, _EVENT, _ATTRIBUTE = range(1, 5)
"""How deep these stand."""


class Case(NamedTuple):
    """One case of a log: its attributes, and its events with the lines they begin in."""

    line: int
    attributes: dict[str, str]
    events: list[tuple[int, dict[str, str]]]


def read_xes(blocks: Iterable[bytes], name: str) -> Iterator[Case]:
    """The cases of a log, one after the other, each as soon as it is whole.

    Args:
        blocks: the bytes of the file.
        name: what to call it in errors.

    Raises:
        InputError: no XML, no log, or one with a DOCTYPE, entities, or no end of nesting.
    """
    done: list[Case] = []
    parser = _parser(name, done.append)
    fed = 0
    waiting = bytearray()
    for block in blocks:
        waiting += block
        # The parser looks again at all of an element that is not whole yet: what it is given grows
        # with that, or a long one would take it time without end.
        if len(waiting) < min(fed - parser.CurrentByteIndex, _AT_ONCE):
            continue
        _feed(parser, bytes(waiting), name)
        fed += len(waiting)
        waiting.clear()
        if fed - parser.CurrentByteIndex > LONGEST_LINE:
            raise InputError(
                f"{name}: line {parser.CurrentLineNumber}: an element is longer than "
                f"{LONGEST_LINE // 1024**2} MB",
                "this is no log",
            )
        yield from done
        done.clear()
    _feed(parser, bytes(waiting), name)
    _feed(parser, b"", name, final=True)
    yield from done


def _feed(parser: expat.XMLParserType, block: bytes, name: str, *, final: bool = False) -> None:
    try:
        parser.Parse(block, final)
    except expat.ExpatError as error:
        what = expat.errors.messages.get(error.code, "no XML")
        raise InputError(
            f"{name}: line {error.lineno}: the XML is broken: {what} (column {error.offset + 1})",
            "export the log again; nothing was imported",
        ) from None


def _parser(name: str, take: Callable[[Case], None]) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def refuse(*_: object) -> None:
        raise InputError(
            f"{name}: line {parser.CurrentLineNumber}: has a DOCTYPE or entities",
            "XES needs neither, and they can be made to do harm; remove them",
        )

    for handler in ("StartDoctypeDecl", "EntityDecl", "ExternalEntityRef", "UnparsedEntityDecl"):
        setattr(parser, f"{handler}Handler", refuse)

    depth = 0
    inside = 0  # how deep the innermost log, trace or event of the log's own shape stands
    case = Case(0, {}, [])
    attributes: dict[str, str] = {}
    trace, event = "trace", "event"

    def start(tag: str, found: list[str]) -> None:
        nonlocal depth, inside, case, attributes, trace, event
        depth += 1
        if depth == inside + 1 and inside >= _TRACE:
            if inside == _TRACE and tag == event:
                inside = _EVENT
                attributes = {}
                case.events.append((parser.CurrentLineNumber, attributes))
            elif len(found) == 4 and found[0] == "key" and found[2] == "value":
                attributes[found[1]] = found[3]
            else:
                pairs = dict(zip(found[::2], found[1::2], strict=True))
                if "key" in pairs and "value" in pairs:
                    attributes[pairs["key"]] = pairs["value"]
        elif depth == _TRACE and inside == _LOG and tag == trace:
            inside = _TRACE
            attributes = {}
            case = Case(parser.CurrentLineNumber, attributes, [])
        elif depth == _LOG:
            prefix, colon, own = tag.rpartition(":")
            if own != "log":
                raise InputError(f"{name}: is no XES: its root is {tag!r}, not log", "name a log")
            trace, event = f"{prefix}{colon}trace", f"{prefix}{colon}event"
            inside = _LOG
        elif depth > _DEEPEST:
            raise InputError(
                f"{name}: line {parser.CurrentLineNumber}: nested more than {_DEEPEST} deep",
                "this is no log",
            )

    def end(tag: str) -> None:
        nonlocal depth, inside, attributes
        if depth == inside:
            inside -= 1
            if depth == _EVENT:
                attributes = case.attributes
            elif depth == _TRACE:
                take(case)
        depth -= 1

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    return parser
