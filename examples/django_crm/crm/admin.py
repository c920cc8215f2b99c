"""The list of customers, with what comes next for each."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from cadence.errors import CadenceError, UnknownProspect
from crm.followups import store, win
from crm.models import Customer


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """Customers, and their follow-ups."""

    list_display = ("name", "owner", "is_won", "next_step", "next_at")
    list_filter = ("owner", "is_won")
    list_per_page = 50
    actions = ("mark_as_won",)

    @admin.display(description="next")
    def next_step(self, customer: Customer) -> str:
        """The touch or task that comes next."""
        try:
            decision = store().explain(customer.prospect)
        except UnknownProspect:
            return "no follow-up"
        touch = decision.touch
        return str(decision.verdict) if touch is None else f"{decision.verdict}: {touch.step}"

    @admin.display(description="at")
    def next_at(self, customer: Customer) -> str:
        """When it is due, in UTC."""
        try:
            at = store().explain(customer.prospect).at
        except UnknownProspect:
            return ""
        return "" if at is None else f"{at:%Y-%m-%d %H:%M}"

    @admin.action(description="Mark as won, and end the follow-up")
    def mark_as_won(self, request: HttpRequest, customers: QuerySet) -> None:
        """End the follow-ups of the chosen customers."""
        for customer in customers:
            try:
                win(customer, by=request.user.get_username())
            except CadenceError as error:
                self.message_user(request, error.what, messages.ERROR)
