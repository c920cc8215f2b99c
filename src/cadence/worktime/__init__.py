"""Count business days and hours, with public holidays and time zones."""

from cadence.worktime.calendar import WorkCalendar, work_calendar
from cadence.worktime.hours import WEEKDAYS, OpenTimes

__all__ = ["WEEKDAYS", "OpenTimes", "WorkCalendar", "work_calendar"]
