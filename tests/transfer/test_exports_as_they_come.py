"""Files as people have them: spreadsheets' ways, and who opted out is in the next export again."""

from pathlib import Path

import pytest

from cadence.cli.main import main
from cadence.domain.events import AttemptMade, ReplyReceived
from cadence.store import Cadence

SPREADSHEET = (
    "\ufeffRecord ID,Activity date,Activity assigned to,Associated Contact IDs,Associated Contact,"
    "To Number,Call direction,Call outcome,Call status,Call notes\r\n"
    "9003,2026-03-08 20:00,Sam Doe,501,Ada Brook,+12125550100,Inbound,Connected,Completed,"
    '"rang back,\r\nwants ""the big one""\r\n"\r\n'
    "9002,2026-03-05 17:05,Sam Doe,501,Ada Brook,+12125550100,Outbound,Left voicemail,Completed,"
    "\r\n"
    "9001,2026-03-02 14:05,Sam Doe,501,Ada Brook,+12125550100,Outbound,No answer,Completed,\r\n"
    ",,,,,,,,,\r\n"
)
DATES = """no;when;lead;phone;result
1;07/30/2026 09:30;L-7;+49 30 1234;no pickup
2;30/07/2026 09:30;L-7;+49 30 1234;no pickup
3;46232.3958;L-9;+49 30 1236;no pickup
4;31/06/2026 09:30;L-9;+49 30 1236;no pickup
"""
DAY_FIRST = """
name = "ours"
format = "csv"
delimiter = ";"
[prospect]
id = { from = "lead" }
timezone = "Europe/Berlin"
country = "DE"
contact_points = [{ channel = "call", address = { from = "phone" } }]
[record]
id = { from = "no" }
at = { from = "when", formats = ["%d/%m/%Y %H:%M"], zone = "prospect" }
[[rules]]
event = "attempt"
channel = "call"
disposition = { from = "result", table = "results" }
[tables.results]
"no pickup" = "no_answer"
"""
HEADER = (
    "hs_object_id,hs_timestamp,hubspot_owner_id,Associated Contact IDs,hs_call_to_number,"
    "hs_call_direction,hs_call_disposition,hs_call_status\n"
)
FIRST = "9001,2026-03-02T14:05:00Z,77,501,+12125550100,OUTBOUND,No answer,COMPLETED\n"
SINCE = "9009,2026-03-09T14:05:00Z,77,501,+12125550100,OUTBOUND,{},COMPLETED\n"
HUBSPOT = ["--mapping", "hubspot_calls", "--timezone", "America/New_York", "--country", "US"]


def test_a_file_that_a_spreadsheet_wrote_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newest first, a byte order mark, CRLF, line breaks in quotes, an empty last row."""
    file, db = tmp_path / "hs.csv", tmp_path / "t.db"
    file.write_bytes(SPREADSHEET.encode())
    assert main(["--db", str(db), "import", str(file), *HUBSPOT]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 prospect: 4 events imported, 0 were there already",
        "skipped: 1 row (the columns of the id are empty)",
    ]
    with Cadence.open(str(db)) as app:
        events = app.history("501")
        assert [one.occurred_at.day for one in events] == [2, 2, 5, 8]
        assert [type(one.data) for one in events[1:]] == [AttemptMade, AttemptMade, ReplyReceived]
        assert app.load("501").stage == "engaged"


def test_a_date_in_another_format_is_a_bad_line_and_never_another_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, mapping, db = (tmp_path / name for name in ("dates.csv", "dmy.toml", "t.db"))
    file.write_text(DATES)
    mapping.write_text(DAY_FIRST)
    assert main(["--db", str(db), "import", str(file), "--mapping", str(mapping)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said[1:4]] == ["line 2", "line 4", "line 5"]
    assert not db.exists()


@pytest.mark.parametrize("outcome", ["Connected", "No answer", "Left voicemail", ""])
def test_who_opted_out_and_is_imported_again_stays_opted_out(
    outcome: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again, db = (tmp_path / name for name in ("a.csv", "b.csv", "t.db"))
    first.write_text(HEADER + FIRST)
    again.write_text(HEADER + FIRST + SINCE.format(outcome))
    on = ["--db", str(db)]
    assert main([*on, "import", str(first), *HUBSPOT]) == 0
    assert main([*on, "opt-out", "501", "--at", "2026-03-03T15:00:00Z"]) == 0
    assert main([*on, "import", str(again), *HUBSPOT]) == 0
    with Cadence.open(str(db)) as app:
        assert app.load("501").stage == "opted_out"
        assert app.history("501")[-1].data.broke == ("opt_out",)
    capsys.readouterr()
    at = ["--at", "2026-03-10T15:00:00Z"]
    assert main([*on, "due", "--all", *at]) == 0
    assert "501" not in capsys.readouterr().out
    assert main([*on, "may", "501", "--channel", "call", *at]) == 1
    assert main([*on, "claim", "501", *at]) == 1
    call = ["attempt", "501", "--channel", "call", "--disposition", "no_answer"]
    assert main([*on, *call, "--strict", *at]) == 1
    capsys.readouterr()
    assert main([*on, "audit"]) == 1
    assert "opt_out" in capsys.readouterr().out
