"""Many requests at once: each is answered, and the event loop stays free meanwhile."""

from __future__ import annotations

import anyio
import httpx
import pgserver
from anyio.to_thread import current_default_thread_limiter
from fastapi_service.main import create_app

from cadence import Cadence
from cadence.domain import InterestNoted, ProspectAdded

REQUESTS = 200
PROSPECTS = [f"p{number}" for number in range(20)]


def test_200_requests_that_wait_for_the_database_starve_nothing() -> None:
    """They hold every thread and every connection; a health check is answered all the same."""
    address = pgserver.new_address()
    with Cadence.open(address) as store:
        for prospect in PROSPECTS:
            store.execute(prospect, ProspectAdded(prospect.title(), "UTC"))
    answers = anyio.run(_ask_while_nothing_can_be_written, address)
    assert [answer.status_code for answer in answers] == [200] * REQUESTS
    with Cadence.open(address) as store:
        noted = [
            event.data.text
            for history in store.histories.all()
            for event in history
            if isinstance(event.data, InterestNoted)
        ]
    assert sorted(noted) == sorted(str(number) for number in range(REQUESTS))


async def _ask_while_nothing_can_be_written(address: str) -> list[httpx.Response]:
    app = create_app(address)
    answers: list[httpx.Response] = []

    async def note(number: int) -> None:
        path = f"/prospects/{PROSPECTS[number % len(PROSPECTS)]}/facts"
        fact = {"type": "InterestNoted", "data": {"text": str(number)}}
        answers.append(await client.post(path, json=fact))

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", headers={"X-User": "kim"}
        ) as client,
        anyio.create_task_group() as requests,
    ):
        with pgserver.connect(address) as other, other.transaction():
            table = f"{pgserver.schema_of(address)}.stored_events"
            other.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            for number in range(REQUESTS):
                requests.start_soon(note, number)
            threads = current_default_thread_limiter()
            while threads.statistics().tasks_waiting < REQUESTS - threads.total_tokens:
                await anyio.sleep(0.001)
            for _ in range(20):
                assert (await client.get("/health")).json() == {"status": "ok"}
            assert answers == []
            assert threads.available_tokens == 0
    return answers
