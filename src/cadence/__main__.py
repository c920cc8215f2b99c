"""``python -m cadence``."""

from cadence.cli.main import run

run()
