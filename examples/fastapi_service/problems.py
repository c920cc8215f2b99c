"""Answer every error with a problem of RFC 9457, by cadence's own table of errors to HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from cadence import CadenceError, Refused


class Problem(BaseModel):
    """What is wrong, and how to fix it.

    Attributes:
        title: one line: what is wrong.
        detail: one line: how to fix it.
        status: the HTTP status.
        code: the kind of error, for programs.
        retryable: whether the same request may succeed later; nothing was recorded.
        rule: the rule that refused the command.
        until: from when on the rule allows it.
    """

    title: str
    detail: str
    status: int
    code: str
    retryable: bool = False
    rule: str | None = None
    until: datetime | None = None


PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {
        "description": text,
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status, text in {
        400: "The body holds no JSON.",
        404: "The prospect is unknown.",
        409: "A rule forbids the command now; `until` says from when on it is allowed.",
        412: "The prospect is not at the version of `If-Match`.",
        422: "A value is invalid.",
        503: "Another program holds the database; repeat the request.",
    }.items()
}
"""Which errors every endpoint may answer, for the OpenAPI description."""


def answer(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Make the response of a problem."""
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True),
        problem.status,
        headers,
        "application/problem+json",
    )


def answer_error(error: CadenceError, now: datetime) -> JSONResponse:
    """Make the response of an error of cadence."""
    problem = Problem(
        title=error.what,
        detail=error.hint,
        status=error.http_status,
        code=error.code,
        retryable=error.retryable,
    )
    headers = {"Retry-After": "1"} if error.retryable else {}
    if isinstance(error, Refused):
        problem.rule, problem.until = error.rule, error.until
        if error.until is not None:
            seconds = math.ceil((error.until - now).total_seconds())
            headers["Retry-After"] = str(max(1, seconds))
    return answer(problem, headers)


def install(app: FastAPI, clock: Callable[[], datetime]) -> None:
    """Let ``app`` answer errors of cadence, of requests and of routes with problems."""

    @app.exception_handler(CadenceError)
    async def on_error(request: Request, error: CadenceError) -> JSONResponse:
        return answer_error(error, clock())

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            title = "body: invalid JSON"
            return answer(Problem(title=title, detail="send JSON", status=400, code="invalid_json"))
        field = ".".join(str(part) for part in first["loc"])
        return answer(
            Problem(
                title=f"{field}: invalid, {first['msg']}",
                detail="use the OpenAPI description at /docs",
                status=422,
                code="invalid_input",
            )
        )

    @app.exception_handler(HTTPException)
    async def on_unknown_route(request: Request, error: HTTPException) -> JSONResponse:
        problem = Problem(
            title=error.detail,
            detail="use the OpenAPI description at /docs",
            status=error.status_code,
            code="http_error",
        )
        return answer(problem, dict(error.headers or {}))
