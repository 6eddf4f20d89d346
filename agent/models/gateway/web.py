"""The HTTP face of the gateway: routes, bounded bodies, and errors in the shape of each dialect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.base.errors import CandidateFault, InfrastructureError
from agent.models.dialects.formats import FORMATS
from agent.models.gateway import streams
from agent.models.gateway.bill import OUT_OF_BUDGET, TOO_LARGE
from agent.models.gateway.session import BoxSession
from agent.models.ports import BadCall, Calls, Dialect, Json

MAX_BODY = 4 << 20
BODY_SECONDS = 60.0
_PATHS = {
    "/chat/completions": Dialect.CHAT,
    "/responses": Dialect.RESPONSES,
    "/messages": Dialect.MESSAGES,
}
_FORBIDDEN, _LIMITS = 403, {"cap_exhausted", OUT_OF_BUDGET, TOO_LARGE}
_log = logging.getLogger(__name__)


def app(gateway: Calls[BoxSession]) -> Starlette:
    """The ASGI app that all sessions share."""
    face = _Face(gateway)
    routes = [
        Route(prefix + path, face.endpoint(dialect), methods=["POST"])
        for prefix in ("/v1", "")
        for path, dialect in _PATHS.items()
    ]
    for prefix in ("/v1", ""):
        routes.append(Route(f"{prefix}/messages/count_tokens", face.count, methods=["POST"]))
        routes.append(Route(f"{prefix}/models", face.models, methods=["GET"]))
        routes.append(Route(f"{prefix}/models/{{name:path}}", face.model, methods=["GET"]))
    routes.append(Route("/ratchet/{name}", face.tool, methods=["POST"]))
    handlers: Any = {HTTPException: face.no_route, Exception: _failed}
    return Starlette(routes=routes, middleware=[Middleware(_Paced)], exception_handlers=handlers)


class _Paced:
    """Every request costs the kernel's attention, also one that is refused at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session: BoxSession = scope["state"]["session"]
        await session.pace()
        await self._app(scope, receive, send)


class _Face:
    """The endpoints, bound to a gateway."""

    def __init__(self, gateway: Calls[BoxSession]) -> None:
        self._gateway = gateway

    def endpoint(self, dialect: Dialect) -> Any:
        """The endpoint of one dialect."""

        async def answer(request: Request) -> Response:
            return await self._answer(request, dialect)

        return answer

    async def models(self, request: Request) -> Response:
        """The aliases that this box may use."""
        listed = self._gateway.catalogue(_session(request))
        return JSONResponse({"object": "list", "data": listed})

    async def model(self, request: Request) -> Response:
        """One alias."""
        name = request.path_params["name"]
        for entry in self._gateway.catalogue(_session(request)):
            if entry["id"] == name:
                return JSONResponse(entry)
        return _error(_dialect_of(request), 404, f"no model {name[:100]!r} here", "model_not_found")

    async def count(self, request: Request) -> Response:
        """The tokens of a prompt, as Messages asks for them."""

        async def counted(raw: bytes) -> Response:
            return JSONResponse({"input_tokens": await self._gateway.count(_session(request), raw)})

        return await self._received(request, Dialect.MESSAGES, counted)

    async def tool(self, request: Request) -> Response:
        """What the box of a proposal asks of the kernel."""
        session, name = _session(request), request.path_params["name"]
        tools = session.scope.tools
        if tools is None:
            return await self.no_route(request, HTTPException(404))

        async def used(raw: bytes) -> Response:
            asked = asyncio.ensure_future(tools.use(name, raw, session.clock))
            try:
                await _ended(request, asked, None)
                return JSONResponse(asked.result())
            except CandidateFault as fault:
                raise BadCall(400, str(fault), code="refused") from fault
            except InfrastructureError as error:
                raise BadCall(503, "nothing came of it, and it does not count: try again", code="void") from error

        return await self._received(request, Dialect.CHAT, used)

    async def no_route(self, request: Request, error: Exception) -> Response:
        """What is said of a path that is not served."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        what = f"{request.method} {request.scope['path'][:200]} is not served here"
        refusal = BadCall(status, what, code="not_found" if status == 404 else "method_not_allowed")  # noqa: PLR2004
        self._gateway.refused(_session(request), request.scope["path"], refusal)
        return _error(_dialect_of(request), status, what, refusal.code)

    async def _answer(self, request: Request, dialect: Dialect) -> Response:
        return await self._received(request, dialect, partial(self._respond, request, dialect))

    async def _received(
        self, request: Request, dialect: Dialect, respond: Callable[[bytes], Awaitable[Response]]
    ) -> Response:
        """Receive a body and respond to it; every failure in the dialect's shape."""
        session, body, response = _session(request), bytearray(), Response(status_code=499)
        try:
            await _receive(request, session, body)
            response = await respond(bytes(body))
        except (BadCall, InfrastructureError) as error:
            response = _error(dialect, *self._fault(request, dialect, error))
        except ClientDisconnect:
            pass
        finally:
            if not isinstance(response, streams.Stream):
                session.take_in(-len(body))
        return response

    def _fault(self, request: Request, dialect: Dialect, error: Exception) -> streams.Said:
        """What a box is told of an error: status, message, code."""
        if isinstance(error, BadCall):
            self._gateway.refused(_session(request), request.scope["path"], error)
            return _told(dialect, error), self._gateway.redacted(str(error)), error.code
        if isinstance(error, InfrastructureError):
            return 503, "the model is not available; this trial will not count", "provider_down"
        return _defect(request, error)

    async def _respond(self, request: Request, dialect: Dialect, raw: bytes) -> Response:
        session, accepted = _session(request), list[Json]()
        call = asyncio.ensure_future(self._gateway.call(session, dialect, raw, request.headers, accepted.append))

        def release() -> None:
            streams.drop(call)
            session.take_in(-len(raw))

        if not await _ended(request, call, streams.KEEP_ALIVE_SECONDS):
            if accepted and accepted[0].get("stream"):
                events = streams.kept_alive(dialect, call, partial(self._fault, request, dialect))
                return streams.Stream(events, release=release)
            await _ended(request, call, None)
        answer = call.result()
        headers = {"x-ratchet-left-out": ", ".join(answer.left_out)} if answer.left_out else {}
        if not answer.asked.get("stream"):
            return JSONResponse(answer.body, headers=headers)
        return streams.Stream(streams.at_once(dialect, answer.body, answer.asked), headers=headers, release=release)


async def _receive(request: Request, session: BoxSession, body: bytearray) -> None:
    """Fill `body`, bounded in size and time.

    Raises:
        BadCall: too large, too slow, or too much at once.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                if len(body) + len(chunk) > MAX_BODY:
                    raise _too_large()
                session.take_in(len(chunk))
                body += chunk
    except TimeoutError:
        raise BadCall(408, f"the body did not arrive within {BODY_SECONDS:.0f} s", code="timeout") from None
    await session.pace(len(body))


def _told(dialect: Dialect, error: BadCall) -> int:
    """The status that a box sees.

    Clients show a 403 as a wrong key, and several retry it, or a 402 or 429: they get a 400. Claude Code takes a 400
    for a parameter that it should leave out, and tries five more; it shows a 402 and stops.
    """
    if error.status != _FORBIDDEN:
        return error.status
    return 402 if dialect is Dialect.MESSAGES and error.code in _LIMITS else 400


def _too_large() -> BadCall:
    return BadCall(413, f"the body may have {MAX_BODY} bytes at most", code="request_too_large")


async def _ended(request: Request, call: asyncio.Task[Any], seconds: float | None) -> bool:
    """Wait for a call, so many seconds at most; whether it has ended.

    Raises:
        ClientDisconnect: the box hung up, so nobody waits for the answer any more.
    """
    gone = asyncio.ensure_future(request.receive())
    try:
        done, _ = await asyncio.wait((call, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        streams.drop(call)
        raise
    finally:
        gone.cancel()
    if gone in done and call not in done:
        streams.drop(call)
        raise ClientDisconnect
    return call in done


def _session(request: Request) -> BoxSession:
    session: BoxSession = request.scope["state"]["session"]
    return session


def _dialect_of(request: Request) -> Dialect:
    """The dialect in which a client that asked for no dialect's path wants its errors."""
    for path, dialect in _PATHS.items():
        if request.scope["path"].removeprefix("/v1").startswith(path):
            return dialect
    anthropic = "anthropic-version" in request.headers
    return Dialect.MESSAGES if anthropic else Dialect.CHAT


def _error(dialect: Dialect, status: int, message: str, code: str) -> Response:
    return JSONResponse(FORMATS[dialect].error(status, message, code), status_code=status)


def _defect(request: Request, error: Exception) -> streams.Said:
    """A defect of the gateway is an infrastructure error, so that it is never scored."""
    _session(request).blame(InfrastructureError(f"a defect of the gateway: {type(error).__name__}"))
    _log.error("defect in the gateway", exc_info=error)
    return 500, "the gateway failed; this trial will not count", "internal_error"


async def _failed(request: Request, error: Exception) -> Response:
    return _error(_dialect_of(request), *_defect(request, error))
