"""The Django app writes its rows and the events together, and shows what comes next."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import paths
import pgserver
import pytest

MANAGE = paths.ROOT / "examples" / "django_crm" / "manage.py"
PROGRAM = """
import os, sys
sys.path.insert(0, {folder!r})
os.environ["DJANGO_SETTINGS_MODULE"] = "crm.settings"
import django
django.setup()
from datetime import UTC, datetime, timedelta
from crm.followups import add, store, win
from crm.models import Customer
from cadence.errors import CadenceError
noon = datetime.now(UTC).replace(hour=17)  # in New York
{code}
"""


@pytest.fixture(scope="module")
def address() -> str:
    name = f"crm{os.getpid()}"
    uri = pgserver.server().get_uri()
    with pgserver.connect(uri) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    made = uri.replace("/postgres?", f"/{name}?")
    assert made != uri
    manage(made, "migrate", "--verbosity", "0")
    superuser = {"DJANGO_SUPERUSER_PASSWORD": "secret"}
    options = ("--noinput", "--username", "ann", "--email", "ann@x.example")
    manage(made, "createsuperuser", *options, **superuser)
    return made


def manage(address: str, *arguments: str, **environment: str) -> str:
    given = {**os.environ, "CRM_DATABASE": address, **environment}
    done = subprocess.run(
        [sys.executable, str(MANAGE), *arguments], env=given, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def run(address: str, code: str) -> str:
    """Run code in a process of the CRM; return what it prints."""
    program = PROGRAM.format(folder=str(MANAGE.parent), code=code)
    given = {**os.environ, "CRM_DATABASE": address}
    done = subprocess.run(
        [sys.executable, "-c", program], env=given, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_customer_and_the_follow_up_are_added_together_or_not_at_all(address: str) -> None:
    printed = run(
        address,
        """
ada = Customer(name="Ada Brook", phone="+1 212 555 0101", owner="ann")
add(ada, noon + timedelta(days=1), by="ann")
print(store().load(ada.prospect).stage, Customer.objects.count())
try:  # no such zone: the follow-up can't begin
    add(Customer(name="Bo", timezone="Nowhere/Town"), noon + timedelta(days=1), by="ann")
except CadenceError as error:
    print(type(error).__name__, Customer.objects.count(), len(list(store().prospects())))
win(ada, by="ann")
print(store().load(ada.prospect).stage, Customer.objects.get(name="Ada Brook").is_won)
bo = Customer(name="Bo")
bo.save()
try:  # there is no follow-up to end
    win(bo, by="ann")
except CadenceError as error:
    print(type(error).__name__, Customer.objects.get(name="Bo").is_won)
""",
    )
    assert printed.splitlines() == [
        "scheduled 1",
        "InputError 1 1",
        "won True",
        "UnknownProspect False",
    ]


def test_the_management_command_lists_what_is_due(address: str) -> None:
    run(
        address,
        """
kim = Customer(name="Kim", owner="kim")  # without a number: a task
add(kim, noon + timedelta(days=40), by="ann")
""",
    )
    assert re.fullmatch(
        r"customer-\d+ task since .*Z\n", manage(address, "followups", "--owner", "kim")
    )
    assert manage(address, "followups", "--owner", "lou") == ""


@pytest.fixture
def server(address: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {**os.environ, "CRM_DATABASE": address, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(MANAGE), "runserver", "--noreload", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        command, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                httpx.get(f"{url}/admin/login/")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def test_the_admin_lists_customers_with_what_comes_next_and_wins_them(
    address: str, server: str
) -> None:
    run(
        address,
        """
mo = Customer(name="Mo", phone="+1 212 555 0103", owner="mo", timezone="UTC")
add(mo, noon + timedelta(days=3), by="ann")
Customer(name="Nell", owner="mo").save()
""",
    )
    with httpx.Client(base_url=server, follow_redirects=True) as client:
        form = client.get("/admin/login/").text
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[0]
        login = {"username": "ann", "password": "secret", "csrfmiddlewaretoken": token}
        client.post("/admin/login/?next=/admin/", data=login).raise_for_status()
        page = client.get("/admin/crm/customer/?owner=mo").text
        assert "wait: on_time" in page
        assert "no follow-up" in page
        chosen = dict(
            re.findall(r'value="(\d+)" class="action-select".*?/change/[^>]*>(\w+)<', page, re.S)
        )
        (number,) = [key for key, name in chosen.items() if name == "Mo"]
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
        act = {"action": "mark_as_won", "_selected_action": number, "csrfmiddlewaretoken": token}
        client.post("/admin/crm/customer/", data=act).raise_for_status()
        assert "stop" in client.get("/admin/crm/customer/?owner=mo").text
    code = """
mo = Customer.objects.get(name="Mo")
print(mo.is_won, store().load(mo.prospect).stage)
"""
    assert run(address, code).split() == ["True", "won"]
