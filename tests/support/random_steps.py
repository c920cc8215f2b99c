"""Random steps of a follow-up: what happens to a rehearsed prospect."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from cadence.domain.channels import CALL, CHANNELS, EMAIL, SMS, Channel
from cadence.domain.events import (
    AutoReplyReceived,
    ContactPointFailed,
    Data,
    Disposition,
    GuidelinesAgreed,
    Intent,
    OptOutRequested,
    Part,
    PauseRequested,
    ReplyReceived,
)
from cadence.prover.simulation import Simulation

FACTS: list[Data] = [
    AutoReplyReceived(EMAIL),
    ReplyReceived(CALL, Intent.LATER),
    OptOutRequested(CALL),
    OptOutRequested(EMAIL),
    ContactPointFailed(CALL, "call"),
    ContactPointFailed(SMS, "sms"),
    GuidelinesAgreed(),
]


STEPS = st.one_of(
    st.just("make"),
    st.just("make"),
    st.integers(1, 24 * 40),  # hours that pass
    st.sampled_from(FACTS),
    st.integers(1, 30).map(lambda days: timedelta(days=days)),  # a pause
    st.sampled_from(CHANNELS),  # an attempt of somebody's own
)


def take_step(made: Simulation, what: object) -> None:
    if what == "make":
        made.make()
    elif isinstance(what, int):
        made.look(made.now + timedelta(hours=what))
    elif isinstance(what, timedelta):
        made.record(PauseRequested(made.now + what), made.now)
    elif isinstance(what, str):
        made.make_attempt((Part(Channel(what), Disposition.NO_ANSWER, what),))
    else:
        made.record(what, made.now)  # type: ignore[arg-type]
