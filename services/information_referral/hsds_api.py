"""The public REST read API of HSDS 3.1: `/hsds/`, `/hsds/services`, `/hsds/services/{id}`. Texts in the request's language.

Source: Human Services Data Specification 3.1, API reference (Open Referral).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import orjson
from sqlalchemy import Select, func, select
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from services.information_referral import hsds_bodies
from services.information_referral.filters import half
from services.information_referral.hsds_question import Question, question
from services.information_referral.models import Service, as_id
from services.information_referral.subgraph import service as subgraph
from services.kit import faults, logs
from services.kit.database import Db
from services.kit.language import Language, negotiate, request_language

VERSION = "3.1"
STREAMED_AT_A_TIME = 200
Json = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]


def _answering(handler: Handler) -> Handler:
    """In the language of `?language=fr` or else Accept-Language; what cannot be accepted is told as everywhere else."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        asked = request.query_params.get("language") or request.headers.get("accept-language", "")
        request_language.set(negotiate(asked))
        try:
            response = await handler(request)
        except faults.Faulted as faulted:
            request_id = logs.accept_request_id(None)
            error = faults.as_error(faulted.fault, request_id, faulted.values, field=faulted.field)
            response = JSONResponse({"errors": [error]}, faulted.fault.status)
        response.headers["content-language"] = request_language.get().value
        response.headers["vary"] = "Accept-Language"
        return response

    return answer


async def root(_: Request) -> Response:
    """What this API is."""
    return JSONResponse(
        {
            "version": VERSION,
            "profile": f"https://docs.openreferral.org/en/{VERSION}/",
            "openapi_url": f"https://docs.openreferral.org/en/{VERSION}/hsds/api_reference.html",
        }
    )


@_answering
async def services(request: Request) -> Response:
    """A page of services by name, or with `format=ndjson` all of them, one a line."""
    asked, language = question(request.query_params), request_language.get()
    name = half(col(Service.name), language)
    wanted = select(Service).where(*asked.conditions).order_by(name, col(Service.id))
    if asked.as_lines:
        return StreamingResponse(_lines(request, wanted, asked, language), media_type="application/x-ndjson")
    async with _reading(request) as db:
        total = (await db.execute(select(func.count()).select_from(Service).where(*asked.conditions))).scalar_one()
        per_page = asked.per_page or max(total, 1)
        rows = await db.all(wanted.offset((asked.page - 1) * per_page).limit(per_page))
        contents = await _contents(db, rows, asked, language)
    pages = -(-total // per_page)
    return JSONResponse(
        {
            "total_items": total,
            "total_pages": pages,
            "page_number": asked.page,
            "size": len(contents),
            "first_page": asked.page == 1,
            "last_page": asked.page >= pages,
            "empty": not contents,
            "contents": contents,
        }
    )


@_answering
async def one_service(request: Request) -> Response:
    """A service with all that hangs on it, whatever its state."""
    identifier = as_id(request.path_params["id"])
    async with _reading(request) as db:
        row = await db.one(Service, identifier) if identifier else None
        if row is None:
            raise faults.Faulted(faults.NOT_FOUND)
        (body,) = await hsds_bodies.whole(db, [row], request_language.get())
    return JSONResponse(body)


subgraph.routes += [
    Route("/hsds", root),
    Route("/hsds/", root),
    Route("/hsds/services", services),
    Route("/hsds/services/{id}", one_service),
]


@asynccontextmanager
async def _reading(request: Request) -> AsyncIterator[Db]:
    """A read-only unit of work of the running service."""
    db: Db = request.app.state.parts.database.reader()
    try:
        yield db
    finally:
        await db.close()


async def _lines(
    request: Request, wanted: Select[tuple[Service]], asked: Question, language: Language
) -> AsyncIterator[bytes]:
    """Every service, some at a time. Which ones is settled at once, so that none is skipped or told twice."""
    async with _reading(request) as db:
        identifiers = await db.all(wanted.with_only_columns(col(Service.id)))
        for first in range(0, len(identifiers), STREAMED_AT_A_TIME):
            some = identifiers[first : first + STREAMED_AT_A_TIME]
            rows = {row.id: row for row in await db.all(select(Service).where(col(Service.id).in_(some)))}
            for body in await _contents(db, [rows[i] for i in some if i in rows], asked, language):
                yield orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)


async def _contents(db: Db, rows: Sequence[Service], asked: Question, language: Language) -> Sequence[Json]:
    if asked.minimal:
        return [{"id": row.id, "modified_date": row.last_modified.isoformat()} for row in rows]
    bodies = hsds_bodies.whole if asked.full else hsds_bodies.listed
    return await bodies(db, rows, language)
