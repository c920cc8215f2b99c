"""Logs (XES) through a mapping: what becomes of a case, what is refused, and the BPI log itself."""

import gzip
import io
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import paths
import pytest
from clocks import ahead
from hypothesis import given
from hypothesis import strategies as st

from cadence.domain import Stage
from cadence.domain.channels import Channel
from cadence.domain.events import (
    AttemptMade,
    Disposition,
    EndReason,
    FollowUpEnded,
    ProspectAdded,
    ReplyReceived,
)
from cadence.errors import InputError
from cadence.store import Cadence
from cadence.transfer import ImportRefused, export_jsonl
from cadence.transfer.formats import choose_source, mapping_for
from cadence.transfer.importer import ImportResult, import_all
from cadence.transfer.input_file import open_input

BPI = paths.BPI

CALL = "W_Nabellen offertes"


def event(name: str, at: str, step: str = "COMPLETE", by: str | None = "112") -> str:
    resource = "" if by is None else f'<string key="org:resource" value="{by}"/>'
    return (
        f'<event>{resource}<string key="lifecycle:transition" value="{step}"/>'
        f'<string key="concept:name" value="{name}"/>'
        f'<date key="time:timestamp" value="{at}"/></event>'
    )


def called(at: str, by: str | None = "112") -> str:
    return event(CALL, at, "START", by)


def trace(case: str, *events: str) -> str:
    return f'<trace><string key="concept:name" value="{case}"/>{"".join(events)}</trace>'


def log(*traces: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    inside = '<extension name="Concept" prefix="concept" uri="x"/><string key="a" value="b"/>'
    text = f'{head}<log xmlns="http://www.xes-standard.org/">\n{inside}'
    return (text + "\n".join(traces) + "\n</log>\n").encode()


SUBMITTED = event("A_SUBMITTED", "2011-10-03T09:00:00.000+02:00")


def imported(
    app: Cadence, content: bytes, folder: Path, mapping: str = "bpic2012", name: str = "small.xes"
) -> ImportResult:
    file = folder / name
    file.write_bytes(content)
    with open_input(str(file)) as found:
        return import_all(app, choose_source(found, mapping_for(mapping)), at=ahead())


def exported(app: Cadence) -> bytes:
    out = io.BytesIO()
    export_jsonl(app, out)
    return out.getvalue()


# What becomes of a case ---------------------------------------------------------------------------


def test_a_case_becomes_a_prospect_of_amsterdam_from_its_first_event_on(tmp_path: Path) -> None:
    app = Cadence.open()
    imported(app, log(trace("7", SUBMITTED, called("2011-10-05T10:00:00.000+02:00"))), tmp_path)
    added, made = app.history("7")
    assert isinstance(added.data, ProspectAdded)
    assert (added.data.timezone, added.data.country) == ("Europe/Amsterdam", "NL")
    assert added.occurred_at == datetime.fromisoformat("2011-10-03T09:00:00+02:00")
    assert isinstance(made.data, AttemptMade)
    (part,) = made.data.parts
    assert (part.channel, part.disposition) == (Channel("call"), Disposition.UNKNOWN)
    assert made.by == "112"
    assert made.data.stage == "spaced"


def test_the_first_start_of_each_local_day_is_the_attempt(tmp_path: Path) -> None:
    app = Cadence.open()
    days = trace(
        "7",
        SUBMITTED,
        called("2011-10-05T10:00:00.000+02:00", "one"),
        called("2011-10-05T11:00:00.000+02:00", "two"),
        called("2011-10-05T22:30:00.000Z", "three"),  # after midnight in Amsterdam
        called("2011-10-06T21:59:00.000Z", "four"),
        event(CALL, "2011-10-07T10:00:00.000+02:00", "COMPLETE"),
    )
    done = imported(app, log(days), tmp_path)
    assert [one.by for one in app.history("7")[1:]] == ["one", "three"]
    assert done.skipped_rows["not the first of its day"] == 2


def test_a_case_without_an_attempt_is_passed_over(tmp_path: Path) -> None:
    app = Cadence.open()
    ended = event("A_DECLINED", "2011-10-05T10:00:00.000+02:00")
    done = imported(app, log(trace("7", SUBMITTED, ended)), tmp_path)
    assert (done.prospects, done.events, done.skipped_prospects) == (0, 0, 1)
    assert list(app.prospects()) == []


def test_an_event_outside_any_case_is_passed_over_and_counted(tmp_path: Path) -> None:
    app = Cadence.open()
    whole = log(trace("7", SUBMITTED, called("2011-10-04T09:00:00.000+02:00")))
    outside = called("2011-10-05T09:00:00.000+02:00").encode() + b"</log>"
    done = imported(app, whole.replace(b"</log>", outside), tmp_path)
    assert done.skipped_rows["an event outside any case"] == 1
    assert list(app.prospects()) == [one for one in app.prospects() if "7" in one]
    assert len([e for e in app.history(next(app.prospects())) if hasattr(e.data, "parts")]) == 1


def test_the_first_end_counts_and_later_facts_are_recorded(tmp_path: Path) -> None:
    app = Cadence.open()
    at = "2011-10-08T10:00:00.000+02:00"
    case = trace(
        "7",
        SUBMITTED,
        called("2011-10-05T10:00:00.000+02:00"),
        event("O_SENT_BACK", "2011-10-07T10:00:00.000+02:00"),
        event("O_ACCEPTED", at),
        event("A_APPROVED", at),  # at the same instant
        event("A_DECLINED", "2011-10-09T10:00:00.000+02:00"),
        called("2011-10-10T10:00:00.000+02:00"),
    )
    imported(app, log(case), tmp_path)
    data = [one.data for one in app.history("7")]
    assert [type(one) for one in data[2:]] == [
        ReplyReceived,
        FollowUpEnded,
        FollowUpEnded,
        FollowUpEnded,
        AttemptMade,
    ]
    assert app.load("7").stage is Stage.WON


def test_events_that_stand_in_another_order_are_put_in_order(tmp_path: Path) -> None:
    app = Cadence.open()
    case = trace(
        "7",
        called("2011-10-06T10:00:00.000+02:00"),
        called("2011-10-05T10:00:00.000+02:00"),
        SUBMITTED,
    )
    imported(app, log(case), tmp_path)
    times = [one.occurred_at for one in app.history("7")]
    assert times == sorted(times)


def test_importing_a_log_twice_changes_nothing_and_a_longer_one_adds_what_is_new(
    tmp_path: Path,
) -> None:
    app = Cadence.open()
    end = event("O_ACCEPTED", "2011-10-08T10:00:00.000+02:00")
    first = [SUBMITTED, called("2011-10-05T10:00:00.000+02:00"), end, end]
    done = imported(app, log(trace("7", *first)), tmp_path)
    assert (done.events, done.skipped) == (4, 0)
    before, rows = exported(app), app.due_rows.stored()
    again = imported(app, log(trace("7", *first)), tmp_path)
    assert (again.events, again.skipped) == (0, 4)
    assert (exported(app), app.due_rows.stored()) == (before, rows)
    longer = trace("7", *first, called("2011-10-12T10:00:00.000+02:00"))
    assert imported(app, log(longer), tmp_path).events == 1


def test_a_log_reads_the_same_plain_packed_and_in_another_encoding(tmp_path: Path) -> None:
    case = trace("7", SUBMITTED, called("2011-10-05T10:00:00.000+02:00", "Zoë"))
    plain = log(case)
    latin = log(case, head='<?xml version="1.0" encoding="ISO-8859-1"?>').decode().encode("latin-1")
    found = set()
    for content in (plain, gzip.compress(plain), latin, b"\xef\xbb\xbf" + plain):
        app = Cadence.open()
        imported(app, content, tmp_path)
        found.add(exported(app))
    assert len(found) == 1
    assert "Zoë".encode() in found.pop()


def test_a_prefix_for_the_namespace_and_nested_attributes_change_nothing(tmp_path: Path) -> None:
    nested = '<string key="x" value="1"><string key="concept:name" value="no"/></string>'
    case = trace(
        "7",
        nested,
        SUBMITTED.replace("</event>", f"{nested}</event>"),
        called("2011-10-05T10:00:00.000+02:00"),
    )
    plain = log(case)
    prefixed = re.sub(rb"<(/?)(\w)", rb"<\1xes:\2", plain).replace(b"<?xes:", b"<?")
    found = []
    for content in (plain, prefixed.replace(b'xmlns="', b'xmlns:xes="')):
        app = Cadence.open()
        imported(app, content, tmp_path)
        found.append(exported(app))
    assert found[0] == found[1] != b""


# What is refused ----------------------------------------------------------------------------------


def refused(content: bytes, folder: Path, name: str = "bad.xes") -> InputError:
    app = Cadence.open()
    with pytest.raises(InputError) as caught:
        imported(app, content, folder, name=name)
    assert list(app.prospects()) == []
    return caught.value


GOOD = trace("7", SUBMITTED, called("2011-10-05T10:00:00.000+02:00"))
BOMB = '<!DOCTYPE log [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>'


@pytest.mark.parametrize(
    "doctype",
    [
        BOMB,
        '<!DOCTYPE log [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE log SYSTEM "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE log [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]>',
        "<!DOCTYPE log>",
    ],
)
def test_a_doctype_is_refused_whatever_is_in_it(doctype: str, tmp_path: Path) -> None:
    content = log(GOOD.replace('"7"', '"&a;"'), head=doctype)
    error = refused(content, tmp_path)
    assert "line 1: invalid XES: has a DOCTYPE or entities" in error.what


def test_a_log_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    deep = "<list>" * 100_000
    assert "nested more than 100 deep" in refused(log(deep), tmp_path).what


def test_an_attribute_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    content = gzip.compress(log(f'<string key="a" value="{"x" * 100_000_000}"/>'), 1)
    assert "longer than 64 MB" in refused(content, tmp_path).what


@pytest.mark.parametrize("cut", [1, 3, 20, 100, -9, -1])
def test_broken_gzip_is_refused(cut: int, tmp_path: Path) -> None:
    error = refused(gzip.compress(log(GOOD))[:cut] or b"", tmp_path, "bad.xes.gz")
    assert error.exit_code == 2
    if cut > 3:
        assert "gzip" in error.what


def test_gzip_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(log(GOOD)))
    packed[-6] ^= 1  # in the checksum
    assert "gzip" in refused(bytes(packed), tmp_path, "bad.xes.gz").what


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (log(GOOD)[:-9], "line 2: invalid XML"),
        (log(GOOD).replace(b"</trace>", b"</case>"), "mismatched tag"),
        (log(GOOD.replace("112", "\x01")), "invalid XML"),
        (log(GOOD.replace("112", "&who;")), "invalid XML"),
        (log(GOOD).decode().replace("112", "é").encode("latin-1"), "invalid XML"),
        (b"<html><body/></html>", "its root is 'html'"),
        (b"{}", "not XML"),
        (b"", "not XML"),
    ],
)
def test_what_is_no_log_is_refused_with_its_line(content: bytes, said: str, tmp_path: Path) -> None:
    assert said in refused(content, tmp_path).what


def test_every_bad_event_is_reported_with_line_and_field(tmp_path: Path) -> None:
    bad = trace("8", SUBMITTED, called("yesterday"), called(""), called("2011-10-05T10:00:00"))
    error = refused(
        log(GOOD, bad.replace("<event>", "\n<event>"), trace("\n", *GOOD[:0])), tmp_path
    )
    assert isinstance(error, ImportRefused)
    found = [(one.number, one.what.split(":")[0]) for one in error.lines]
    assert [field for _, field in found] == ["time"] * 3
    assert [number for number, _ in found] == [5, 6, 7]


def test_a_log_of_another_program_needs_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "log.xes").write_bytes(log(GOOD))
    with open_input(str(tmp_path / "log.xes")) as file, pytest.raises(InputError) as caught:
        import_all(Cadence.open(), choose_source(file), at=ahead())
    assert "--mapping" in caught.value.hint


# Any log ------------------------------------------------------------------------------------------

NAMES = st.sampled_from([CALL, "O_SENT_BACK", "O_ACCEPTED", "A_APPROVED", "A_CANCELLED", "O_SENT"])
MOMENTS = st.integers(0, 40 * 24 * 60)
CASES = st.lists(
    st.lists(st.tuples(NAMES, st.sampled_from(["START", "COMPLETE"]), MOMENTS), max_size=12),
    max_size=6,
)


@given(CASES, st.randoms(use_true_random=False))
def test_any_log_imports_to_what_a_naive_reader_counts(
    tmp_path_factory: pytest.TempPathFactory, cases: list, random
) -> None:
    begin = datetime.fromisoformat("2011-10-20T00:00:00+02:00").timestamp()
    traces = [
        trace(
            f"c{number}",
            *(
                event(
                    name, f"{datetime.fromtimestamp(begin + 60 * at, AMSTERDAM).isoformat()}", step
                )
                for name, step, at in sorted(events, key=lambda one: one[2])
            ),
        )
        for number, events in enumerate(cases)
    ]
    random.shuffle(traces)
    content = log(*traces)
    app = Cadence.open()
    imported(app, content, tmp_path_factory.mktemp("log"))
    assert counted(app) == naive_count(content.decode())


# The BPI log --------------------------------------------------------------------------------------

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
BOUGHT = {"O_ACCEPTED", "A_APPROVED"}
DECLINED = {"O_DECLINED", "A_DECLINED", "A_CANCELLED"}


def naive_count(text: str) -> dict[str, int]:
    """The same counts from the text alone, by somebody who knows nothing of the importer."""
    found: Counter[str] = Counter()

    def value(part: str, key: str) -> str:
        return re.search(f'key="{key}" value="([^"]*)"', part).group(1)

    for case in re.findall("<trace>(.*?)</trace>", text, re.DOTALL):
        events = case.split("<event>")[1:]
        names = [value(one, "concept:name") for one in events]
        times = [datetime.fromisoformat(value(one, "time:timestamp")) for one in events]
        days = {
            at.astimezone(AMSTERDAM).date()
            for one, name, at in zip(events, names, times, strict=True)
            if name == CALL and value(one, "lifecycle:transition") == "START"
        }
        if not days:
            continue
        found["prospects"] += 1
        found["attempts"] += len(days)
        found["replies"] += names.count("O_SENT_BACK")
        ends = [(at, n, name) for n, (at, name) in enumerate(zip(times, names, strict=True))]
        ends = sorted(one for one in ends if one[2] in BOUGHT | DECLINED)
        found["bought events"] += sum(name in BOUGHT for *_, name in ends)
        found["declined events"] += sum(name in DECLINED for *_, name in ends)
        kind = "open" if not ends else "won" if ends[0][2] in BOUGHT else "lost"
        found[kind] += 1
    return +found


def counted(app: Cadence) -> dict[str, int]:
    found: Counter[str] = Counter()
    for prospect in app.prospects():
        history = app.history(prospect)
        data = [one.data for one in history]
        found["prospects"] += 1
        found["attempts"] += sum(isinstance(one, AttemptMade) for one in data)
        found["replies"] += sum(isinstance(one, ReplyReceived) for one in data)
        reasons = [one.reason for one in data if isinstance(one, FollowUpEnded)]
        found["bought events"] += reasons.count(EndReason.BOUGHT)
        found["declined events"] += reasons.count(EndReason.DECLINED)
        stage = app.load(prospect).stage
        found[stage.value if stage in (Stage.WON, Stage.LOST) else "open"] += 1
    return +found


def test_every_count_of_the_bpi_log_agrees_with_a_naive_one(tmp_path: Path) -> None:
    if not BPI.exists():
        pytest.skip(f"the BPI log is not here ({BPI})")
    wanted = naive_count(gzip.decompress(BPI.read_bytes()).decode())
    db = str(tmp_path / "bpi.db")
    with Cadence.open(db) as app:
        with open_input(str(BPI)) as found:
            done = import_all(app, choose_source(found, mapping_for("bpic2012")), at=ahead())
        assert done.rows == 262_200
        assert counted(app) == wanted
        assert wanted["prospects"] == done.prospects
        with open_input(str(BPI)) as found:
            again = import_all(app, choose_source(found, mapping_for("bpic2012")), at=ahead())
        assert again.events == 0
        assert counted(app) == wanted
