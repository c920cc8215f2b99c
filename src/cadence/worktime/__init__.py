"""Business days and hours, public holidays, time zones."""

from cadence.worktime.calendar import WorkCalendar, work_calendar

__all__ = [
    "WorkCalendar",
    "work_calendar",
]
