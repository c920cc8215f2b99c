"""``manage.py followups``: close what is over, and list what is due."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from crm.followups import store


class Command(BaseCommand):
    """Run it every minute, or when ``next_review`` says so."""

    help = "Close follow-ups that are over, and list what is due."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument("--owner", help="only this owner's")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each prospect that is due."""
        for outcome in store().tick():
            self.stdout.write(f"closed {outcome.prospect.id}")
        for decision in store().due(owner=options["owner"]):
            touch = decision.touch
            what = decision.verdict if touch is None else touch.step
            self.stdout.write(f"{decision.prospect} {what} since {decision.at:%Y-%m-%d %H:%M}Z")
