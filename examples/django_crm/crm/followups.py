"""What the CRM does with cadence: its own rows and the events are written together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache

from django.db import connection, transaction

from cadence import Cadence
from cadence.domain import Channel, ContactPoint, ProspectAdded
from cadence.domain.events import EndReason
from cadence.engine import EndFollowUp, SetAppointment
from crm.models import Customer
from crm.settings import DATABASE


@cache
def store() -> Cadence:
    """The store, opened once in each process."""
    return Cadence.open(DATABASE)


@contextmanager
def together() -> Iterator[Cadence]:
    """A transaction in which Django's rows and the events are written, or neither."""
    with transaction.atomic():
        connection.ensure_connection()
        with store().using(connection.connection) as here:
            yield here


def add(customer: Customer, appointment: datetime, by: str) -> None:
    """Add a customer, and follow up from an appointment on.

    Raises:
        CadenceError: the follow-up can't begin; then the customer is not added either.
    """
    with together() as here:
        customer.save()
        points = (ContactPoint(Channel("call"), customer.phone),) if customer.phone else ()
        added = ProspectAdded(
            customer.name, customer.timezone, contact_points=points, owner=customer.owner or None
        )
        here.execute(customer.prospect, added, by=by)
        here.execute(customer.prospect, SetAppointment(appointment), by=by)


def win(customer: Customer, by: str) -> None:
    """They bought: no more follow-up."""
    with together() as here:
        customer.is_won = True
        customer.save()
        here.execute(customer.prospect, EndFollowUp(EndReason.BOUGHT), by=by)
