"""Heavy reads on the workers of a Dask cluster, from the command line."""

from __future__ import annotations

import multiprocessing
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adoption_cases import in_silence
from clocks import ahead
from command_line import Cli, two_lines
from distributed import LocalCluster
from engine_lives import PLACES, live
from msgspec.structs import replace
from own_addresses import own_addresses

from cadence.cli import cluster as cluster_module
from cadence.cli import executors as chosen
from cadence.store import Cadence, due_rows, executors
from cadence.store.histories import Histories

AT = "2028-03-01T15:00:00Z"
LIVES = [live(place, attempts=3) for place in PLACES]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as found:
        yield found.scheduler_address


@pytest.fixture
def people(db: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty prospects, on ten pages."""
    monkeypatch.setattr(executors, "PAGE", 4)
    monkeypatch.setattr(executors, "TOGETHER", 1)
    with Cadence.open(db) as app:
        app.histories.append(
            [
                ([own_addresses(n, replace(event, prospect=f"p{n:02}")) for event in life], 0)
                for n in range(40)
                for life in [LIVES[n % len(LIVES)]]
            ],
            at=ahead(),
        )
        late = [row._replace(at=None, review_from=None) for row in app.due_rows.stored()[:3]]
        app._recorder.insert_events([], due=late)
    return db


READS = {
    "audit": ("audit", "--hindsight"),
    "what-if": ("whatif", "--policy", "polite-persistence", "--json"),
    "preview": ("policy", "adopt", "polite-persistence", "--all", "--json"),
    "preview of some": ("policy", "adopt", "polite-persistence", "p01", "p30", "p02"),
    "preview of an unknown one": ("policy", "adopt", "polite-persistence", "p01", "nobody"),
}


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("name", READS)
def test_a_cluster_prints_byte_for_byte_what_one_process_prints(
    name: str, cli: Cli, scheduler: str
) -> None:
    call = (*READS[name], "--at", AT)
    alone = cli(*call, "--jobs", 1)
    assert alone.out or alone.err.count("\n") == 2
    assert cli(*call, "--dask", scheduler) == alone


@pytest.mark.parametrize("how", ["--dask", "--jobs"])
def test_a_list_is_rebuilt_by_workers_and_written_here(
    how: str, cli: Cli, people: Path, scheduler: str
) -> None:
    found = cli("audit")
    assert found.out.count("in the due list") == 3
    done = cli("rebuild", how, scheduler if how == "--dask" else 2)
    assert done.out == "due list of 40 prospects rebuilt, changed\n"
    assert done.err == ""
    assert "nothing broken" in cli("audit").out
    assert cli("rebuild").out == "due list of 40 prospects rebuilt, unchanged\n"


@pytest.mark.usefixtures("people")
def test_a_large_list_is_read_by_a_process_a_core(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = cli("audit")
    asked: list[int] = []

    def two() -> int:
        asked.append(2)
        return 2

    monkeypatch.setattr(chosen, "cores", two)
    assert cli("audit") == alone
    assert asked == []
    monkeypatch.setattr(chosen, "_WORTH_PROCESSES", 30)
    assert cli("audit") == alone
    assert asked == [2]


# What goes wrong ----------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_PATIENCE", 0.5)


CALLS = {
    "audit": ("audit",),
    "whatif": ("whatif", "--policy", "tip8"),
    "policy adopt": ("policy", "adopt", "are-you-ok", "--all"),
    "rebuild": ("rebuild",),
}


@pytest.mark.usefixtures("quick", "people")
@pytest.mark.parametrize("name", CALLS)
def test_an_address_where_nothing_answers_is_told_within_seconds(name: str, cli: Cli) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        done = cli(*CALLS[name], "--dask", f"tcp://127.0.0.1:{port}")
    two_lines(done, 1, f"--dask: no scheduler answers at tcp://127.0.0.1:{port}", "dask scheduler")


@pytest.mark.usefixtures("quick", "people")
def test_a_program_that_accepts_and_says_nothing_is_told_within_seconds(cli: Cli) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        done = cli("audit", "--dask", f"127.0.0.1:{silent.getsockname()[1]}")
    two_lines(done, 1, "no scheduler answers", "nothing within 0.5 s")


@pytest.mark.usefixtures("quick", "people")
@pytest.mark.parametrize("address", ["", "nonsense", "foo://x:1", "127.0.0.1:x", "http://x:1"])
def test_an_invalid_address_is_told(address: str, cli: Cli) -> None:
    two_lines(cli("audit", "--dask", address), 2, "--dask: invalid address", "tcp://10.0.0.5:8786")


@pytest.mark.usefixtures("people")
def test_a_scheduler_without_workers_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_PATIENCE", 2)
    with LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        done = cli("audit", "--dask", empty.scheduler_address)
        two_lines(done, 1, "has no workers", f"dask worker {empty.scheduler_address}")


@pytest.mark.usefixtures("people")
def test_without_the_package_it_is_said_how_to_install_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = cli("audit", "--dask", "tcp://127.0.0.1:1")
    two_lines(done, 2, "--dask: missing package distributed", "pip install 'cadence[cluster]'")


@pytest.mark.usefixtures("people")
def test_jobs_and_dask_are_one_or_the_other(cli: Cli) -> None:
    done = cli("audit", "--jobs", 2, "--dask", "tcp://127.0.0.1:1")
    two_lines(done, 2, "--jobs: invalid with --dask", "leave it out")


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("option", [("--jobs", 2), ("--dask", "tcp://127.0.0.1:1")])
def test_a_move_takes_no_workers(option: tuple[str, Any], cli: Cli) -> None:
    done = cli("policy", "adopt", "are-you-ok", "--all", "--apply", *option)
    two_lines(done, 2, f"{option[0]}: invalid with --apply", "it is for the preview")


def test_a_database_that_workers_do_not_reach_is_told(
    people: Path, raw: Cli, scheduler: str, tmp_path: Path
) -> None:
    """As where the path is a folder of this machine alone: the workers find another file there."""
    with Cadence.open(people, read_only=True) as app:
        source = app.source()
    other = tmp_path / "other.db"
    with Cadence.open(other) as app:
        in_silence(app, "kim")
    assert source.newest is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Cadence, "source", lambda self: replace(source, address=str(other.absolute()))
        )
        done = raw("audit", "--db", people, "--dask", scheduler)
    assert done.code == 1
    assert re.search(r"worker on .*: its database lacks events of this one\n.*same path", done.err)


@pytest.mark.parametrize("lost", ["worker", "scheduler"])
def test_the_last_worker_or_the_scheduler_is_lost_and_it_is_told_in_two_lines(
    lost: str, people: Path, raw: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask itself waits for another worker for ever, and logs tracebacks."""
    monkeypatch.setattr(cluster_module, "_LOOK_EVERY", 0.1)
    monkeypatch.setattr(cluster_module, "_LOST", 0.5)
    with LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny"]
        alone = subprocess.Popen(
            [*command, "--no-dashboard", empty.scheduler_address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with empty.get_client() as client:
            client.wait_for_workers(1, timeout=60)
        kept = Histories.pages

        def kill_it_first(*given: Any, **named: Any) -> Any:
            if executors.PAGE in given:
                alone.send_signal(signal.SIGKILL)
                alone.wait()
                if lost == "scheduler":
                    empty.close()
            return kept(*given, **named)

        monkeypatch.setattr(Histories, "pages", kill_it_first)
        done = raw("audit", "--db", people, "--dask", empty.scheduler_address)
    assert done.code == 1
    assert done.err.startswith("cadence: executor: a worker ended or can't be reached (")
    assert done.err.count("\n") == 2
    assert ("no workers left" in done.err) == (lost == "worker")


@pytest.mark.parametrize(
    ("name", "how"), [("audit", "--jobs"), *[(name, "--dask") for name in CALLS]]
)
def test_ctrl_c_ends_the_command_and_what_it_started(
    name: str, how: str, people: Path, raw: Cli, scheduler: str
) -> None:
    pages, prospects = Histories.pages, Cadence.prospects
    children = set(multiprocessing.active_children())

    def interrupted(found: Iterator[Any]) -> Iterator[Any]:
        for number, one in enumerate(found):
            if number == 6:
                raise KeyboardInterrupt
            yield one

    with Cadence.open(people) as app:
        before = list(app.histories.all())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Histories, "pages", lambda *given: interrupted(pages(*given)))
        patch.setattr(Cadence, "prospects", lambda *given: interrupted(prospects(*given)))
        patch.setattr(due_rows, "_BATCH", 4)
        patch.setattr(due_rows, "_BATCHES", 1)
        done = raw(*CALLS[name], "--db", people, how, scheduler if how == "--dask" else 2)
    assert done.code == 130
    assert done.err == "cadence: interrupted\nonly confirmed changes were saved\n"
    assert set(multiprocessing.active_children()) <= children
    assert raw("rebuild", "--db", people).code == 0
    with Cadence.open(people) as app:
        assert list(app.histories.all()) == before
