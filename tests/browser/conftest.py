"""One browser for all tests; without one they fail, and say how to get one."""

from collections.abc import Iterator

import pytest
from chromium import Browser, find_browser, open_browser


def pytest_sessionstart(session: pytest.Session) -> None:
    try:
        find_browser()
    except SystemExit as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with open_browser() as one:
        yield one
