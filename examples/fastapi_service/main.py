r"""Serve follow-ups over HTTP.

    CADENCE_DB=postgresql://… uvicorn --app-dir examples --workers 2 \
        --factory fastapi_service.main:create_app

Endpoints are plain functions: FastAPI runs them in its thread pool, and the event loop stays free
(docs/how-to/async.md). Users come from a header here; take yours from your login.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Query, Response

from cadence import Cadence, InputError
from cadence.domain import Channel
from cadence.messages import compose
from fastapi_service import problems, scheduler, webhooks
from fastapi_service.requests import (
    AnyCommand,
    ChannelName,
    ClaimNext,
    ClaimTouch,
    Completed,
    Fact,
    NewProspect,
)
from fastapi_service.responses import (
    ClaimOut,
    DecisionOut,
    DuePageOut,
    EventOut,
    OutcomeOut,
    PrecheckOut,
    ReleasedOut,
)
from fastapi_service.store import Now, Store

router = APIRouter()

User = Annotated[str, Header(alias="X-User", min_length=1, max_length=500)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=500)]
Seen = Annotated[str | None, Header(alias="If-Match", examples=['"3"'])]


def version_seen(tag: str | None) -> int | None:
    """Read the version of an `If-Match` header."""
    if tag is None:
        return None
    inner = tag.strip().strip('"')
    if not (inner.isascii() and inner.isdigit()) or len(inner) > 9:
        raise InputError(f"If-Match: invalid {tag!r}", 'give the ETag of a prospect, such as "3"')
    return int(inner)


def tagged(response: Response, version: int) -> None:
    """Give a response the version of its prospect as `ETag`."""
    response.headers["ETag"] = f'"{version}"'


@router.get("/health", tags=["service"])
async def health() -> dict[str, str]:
    """Answer from the event loop, also while every thread is busy."""
    return {"status": "ok"}


@router.put("/prospects/{prospect}", status_code=201, tags=["prospects"])
def add(
    prospect: str, body: NewProspect, app: Store, user: User, response: Response, key: Key = None
) -> OutcomeOut:
    """Add a prospect."""
    outcome = app.execute(prospect, body.command(), by=user, command_id=key)
    tagged(response, outcome.prospect.version)
    return OutcomeOut.of(outcome)


@router.post("/prospects/{prospect}/commands", tags=["prospects"])
def command(
    prospect: str,
    body: AnyCommand,
    app: Store,
    user: User,
    response: Response,
    key: Key = None,
    seen: Seen = None,
) -> OutcomeOut:
    """Carry out a command; it may be refused."""
    outcome = app.execute(
        prospect, body.command(), by=user, command_id=key, expect=version_seen(seen)
    )
    tagged(response, outcome.prospect.version)
    return OutcomeOut.of(outcome)


@router.post("/prospects/{prospect}/facts", tags=["prospects"])
def fact(
    prospect: str,
    body: Fact,
    app: Store,
    user: User,
    response: Response,
    key: Key = None,
    seen: Seen = None,
) -> OutcomeOut:
    """Record what happened; it is never refused."""
    outcome = app.execute(
        prospect,
        body.fact(),
        occurred_at=body.occurred_at,
        by=user,
        command_id=key,
        expect=version_seen(seen),
    )
    tagged(response, outcome.prospect.version)
    return OutcomeOut.of(outcome)


@router.get("/prospects/{prospect}/decision", tags=["prospects"])
def explain(prospect: str, app: Store, now: Now, response: Response) -> DecisionOut:
    """Say what comes next and why, and what to say."""
    person = app.load(prospect)
    tagged(response, person.version)  # read first: a change since is noticed
    decision = app.explain(prospect, now)
    return DecisionOut.of(compose(decision, person, app.policies, now, app.settings().team))


@router.get("/prospects/{prospect}/history", response_model_exclude_none=True, tags=["prospects"])
def history(prospect: str, app: Store, response: Response) -> list[EventOut]:
    """List everything that happened, in order."""
    events = app.history(prospect)
    tagged(response, events[-1].version)
    return [EventOut.of(event) for event in events]


@router.get("/prospects/{prospect}/may", tags=["prospects"])
def may(
    prospect: str,
    app: Store,
    user: User,
    channel: ChannelName = "call",
    address: str | None = None,
) -> PrecheckOut:
    """Say which rules an attempt would break now; nothing is recorded."""
    answer = app.may(prospect, Channel(channel), address=address, by=user)
    return PrecheckOut.model_validate(answer.to_dict())


@router.get("/due", tags=["due list"])
def due(
    app: Store,
    owner: str | None = None,
    channel: ChannelName | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    after: str | None = None,
) -> DuePageOut:
    """List who to contact now, a page at a time."""
    page = app.due(owner=owner, channel=channel, limit=limit, after=after)
    return DuePageOut.of(page, app.histories.load([one.prospect for one in page]))


@router.post("/prospects/{prospect}/claims", tags=["claims"])
def claim(prospect: str, body: ClaimTouch, app: Store, user: User) -> ClaimOut:
    """Claim what is next for a prospect; the holder who asks again gets a longer lease."""
    taken = app.claim(
        prospect,
        body.touch,
        own=None if body.own is None else Channel(body.own),
        by=user,
        lease=body.time,
        on_expiry=body.on_expiry,
    )
    return ClaimOut.of(taken)


@router.post("/claims", tags=["claims"])
def claim_next(body: ClaimNext, app: Store, user: User) -> list[ClaimOut]:
    """Claim what is due longest, for a dialler or a mailer."""
    claims = app.claim_next(
        body.count,
        by=user,
        owner=body.owner,
        channel=body.channel,
        lease=body.time,
        on_expiry=body.on_expiry,
    )
    return [ClaimOut.of(one) for one in claims]


@router.post("/claims/{token}/complete", tags=["claims"])
def complete(token: str, body: Completed, app: Store) -> OutcomeOut:
    """Log what was done under a claim; repeated, it has no second effect."""
    parts = [one.part() for one in body.parts]
    outcome = app.complete(token, parts, not_made=not parts, why=body.why, note=body.note)
    return OutcomeOut.of(outcome)


@router.delete("/claims/{token}", tags=["claims"])
def release(token: str, app: Store) -> ReleasedOut:
    """Give a claim back."""
    return ReleasedOut(released=app.release(token))


def machine_clock() -> datetime:
    """Return what the machine's clock shows."""
    return datetime.now(UTC)


def create_app(
    address: str | None = None,
    *,
    clock: Callable[[], datetime] = machine_clock,
    longest_sleep: timedelta = timedelta(minutes=1),
) -> FastAPI:
    """Make the service.

    Args:
        address: a path or a `postgresql://` address; by default the environment's `CADENCE_DB`.
        clock: what shows now.
        longest_sleep: how long the scheduler sleeps at most.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with (
            Cadence.open(address or os.environ["CADENCE_DB"], clock=clock) as store,
            scheduler.running(store, clock, longest_sleep),
        ):
            app.state.store, app.state.clock = store, clock
            yield

    app = FastAPI(title="Follow-ups", version="1", lifespan=lifespan, responses=problems.PROBLEMS)
    problems.install(app, clock)
    app.include_router(router)
    app.include_router(webhooks.router)
    return app
