"""The CRM's own table."""

from __future__ import annotations

from django.db import models


class Customer(models.Model):
    """A customer of the team. The follow-up has the same number."""

    name = models.CharField(max_length=200)
    phone = models.CharField(max_length=40, blank=True)
    timezone = models.CharField(max_length=60, default="America/New_York")
    owner = models.CharField(max_length=60, blank=True)
    is_won = models.BooleanField(default=False)

    def __str__(self) -> str:
        return str(self.name)

    @property
    def prospect(self) -> str:
        """The id of the follow-up."""
        return f"customer-{self.pk}"
