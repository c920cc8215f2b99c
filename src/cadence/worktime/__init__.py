"""Count business days and hours, with public holidays and time zones."""

from cadence.worktime.calendar import OpenTimes, WorkCalendar, work_calendar
from cadence.worktime.hours import WEEKDAYS

__all__ = ["WEEKDAYS", "OpenTimes", "WorkCalendar", "work_calendar"]
