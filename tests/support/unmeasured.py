"""Processes of which a test asks what they load: coverage would load SQLite into them."""

import os


def environment() -> dict[str, str]:
    """This environment, without what makes coverage measure a process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
