"""The dashboard: the report of a campaign, live, and a few levers for whoever has the token.

Read-only by default and on loopback by default; `guard` decides who may do what. Nothing is loaded from anywhere,
and every text of a model is made visible and escaped before it is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import math
import re
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import closing, suppress
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import uvicorn
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.base.errors import InfrastructureError, UserError
from agent.base.text import visible
from agent.kernel.decide.gate import GateSettings
from agent.kernel.record.ledger import Ledger
from agent.review.dashboard.actions import Levers
from agent.review.dashboard.guard import LOGIN, Guard, Rules, Session, authorised_form
from agent.review.dashboard.watch import Drawn, Watch, apart, names
from agent.review.report.facts import collect
from agent.review.report.page import render

SECTIONS: Final = ("summary", "scores", "lineage", "heat", "evidence", "patches", "rejected", "cost", "events")
ASSETS: Final = {
    "report.css": "text/css",
    "dashboard.css": "text/css",
    "report.js": "text/javascript",
    "idiomorph.min.js": "text/javascript",
    "dashboard.js": "text/javascript",
}
MAX_STREAMS: Final = 64
BEAT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 4.0
_DIGITS: Final = 9
_FRESH_SECONDS: Final = 0.3
"""How long a page waits for its report to be drawn; a longer one follows when it is ready."""


class Dashboard:
    """The web application over one folder of campaigns."""

    def __init__(self, runs: Path, rules: Rules, levers: Levers) -> None:
        self._runs, self._levers = runs, levers
        self._watches: dict[str, Watch] = {}
        self._streams, self._closing = 0, False
        self._work: set[asyncio.Task[Any]] = set()
        routes = [
            Route("/", self.index),
            Route("/c/{name}", self.bare),
            Route("/c/{name}/", self.page),
            Route("/c/{name}/events", self.events),
            Route("/c/{name}/part/{part}", self.part),
            Route("/c/{name}/{lever}", self.pull, methods=["POST"]),
            Route(LOGIN, self.login, methods=["GET", "POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/assets/{file}", asset),
        ]
        guard = Middleware(Guard, rules=rules, public=[f"/assets/{name}" for name in ASSETS])
        self.can_log_in = rules.token is not None
        self.app = Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: _plain})
        self.app.router.redirect_slashes = False

    async def close(self) -> None:
        """End every stream, and let go of every record."""
        self._closing = True
        for watch in self._watches.values():
            await watch.close()

    # ---------------------------------------------------------------------------- reading

    async def index(self, request: Request) -> Response:
        """Every campaign of the folder."""
        known = sorted({*names(self._runs), self._levers.campaign})
        looks = await asyncio.gather(*(self._watch(name).refresh() for name in known))
        return self._html(request, "campaigns.html", looks=looks)

    async def bare(self, request: Request) -> Response:
        """The page's address without its last stroke."""
        return RedirectResponse(f"/c/{self._known(request).folder.name}/", 307)

    async def page(self, request: Request) -> Response:
        """One campaign: how it stands now, and its report as far as it is drawn."""
        watch = self._known(request)
        look = await watch.refresh()
        # The first drawing holds the processor, and a page's own files go first: their stream begins it, or a reload.
        first, watch.opened = not watch.opened, True
        if not first:
            await asyncio.wait({self._aside(watch.redraw())}, timeout=_FRESH_SECONDS)
        drawn = watch.drawn.sections if watch.drawn else {}
        return self._html(
            request, "dashboard.html", look=look, now=self._now(request, watch), sections=SECTIONS, drawn=drawn
        )

    async def part(self, request: Request) -> Response:
        """One section of the report."""
        watch, part = self._known(request), request.path_params["part"]
        if watch.drawn is None or part not in watch.drawn.sections:
            raise HTTPException(404)
        return HTMLResponse(watch.drawn.sections[part])

    async def events(self, request: Request) -> Response:
        """The stream of a campaign: `now` carries its panel, `report` the tags of the sections as they stand."""
        watch = self._known(request)
        if self._streams >= MAX_STREAMS:
            return PlainTextResponse("too many readers\n", 503)
        return StreamingResponse(self._stream(request, watch), media_type="text/event-stream")

    async def _stream(self, request: Request, watch: Watch) -> AsyncIterator[bytes]:
        session: Session | None = request.state.session
        self._streams += 1
        try:
            yield b"retry: 1000\n\n"
            async with watch.reading():
                await watch.refresh()
                seen, panel = -1, ""
                drawn: Drawn | None = None
                while not self._closing and (session is None or session.until > time.monotonic()):
                    if (now := self._now(request, watch)) != panel:
                        panel = now
                        yield _event("now", {"html": now, "doing": watch.look.doing})
                    if watch.drawn is not None and watch.drawn is not drawn:
                        drawn = watch.drawn
                        yield _event("report", tags(drawn))
                    turn = await watch.change(seen, BEAT_SECONDS)
                    if turn == seen:
                        yield b": still here\n\n"
                    seen = turn
        finally:
            self._streams -= 1

    def _now(self, request: Request, watch: Watch) -> str:
        look, session = watch.look, request.state.session
        steps = Counter(look.now.running if look.now else ())
        return (
            _templates()
            .get_template("now.html")
            .render(look=look, session=session, mine=look.name == self._levers.campaign, steps=steps.items())
        )

    # ---------------------------------------------------------------------------- levers

    async def pull(self, request: Request) -> Response:
        """Start, stop, approve or reject: for whoever has the token, with the form's own token."""
        watch, lever, session = self._known(request), request.path_params["lever"], request.state.session
        fields = await authorised_form(request)
        if fields is None:
            return PlainTextResponse("this form is not from this page, or it is too old: reload the page\n", 403)
        notice = await self._carry_out(watch, self._order(watch, lever, fields))
        if session.program:
            return PlainTextResponse(notice + "\n")
        session.notice = notice
        return RedirectResponse(f"/c/{watch.look.name}/", 303)

    def _order(self, watch: Watch, lever: str, fields: Mapping[str, str]) -> Callable[[], str]:
        """What a lever does. Raises HTTPException for one that is not there."""
        if watch.folder.name != self._levers.campaign:
            raise HTTPException(404)  # the configuration that starts and decides is of one campaign
        if lever in {"start", "stop"}:
            return self._levers.start if lever == "start" else self._levers.stop
        candidate = fields.get("candidate", "")[:_DIGITS]
        if lever not in {"approve", "reject"} or not (candidate.isascii() and candidate.isdigit()):
            raise HTTPException(404)
        by, why = fields.get("by", "").strip() or "dashboard", fields.get("why", "")
        return partial(self._levers.decide, int(candidate), approve=lever == "approve", by=by, why=why)

    async def _carry_out(self, watch: Watch, order: Callable[[], str]) -> str:
        """What came of it, or that it takes longer."""
        work = self._aside(apart(order))
        done, _ = await asyncio.wait({work}, timeout=_ANSWER_SECONDS)
        await watch.refresh()
        if not done:
            return "asked; it takes a moment, and what comes of it will stand below"
        try:
            return str(work.result())
        except (UserError, InfrastructureError) as error:
            return str(error)

    async def login(self, request: Request) -> Response:
        """The form that takes the token, and what comes of it."""
        if request.method == "POST" and self.can_log_in:
            answer = RedirectResponse("/", 303)
            if await request.state.guard.log_in(request, answer):
                return answer
            return self._html(request, "login.html", status=403, wrong=True)
        return self._html(request, "login.html", wrong=False)

    async def logout(self, request: Request) -> Response:
        """Forget the session."""
        if await authorised_form(request) is None:
            raise HTTPException(403)
        answer = RedirectResponse("/", 303)
        request.state.guard.log_out(request, answer)
        return answer

    # ---------------------------------------------------------------------------- helpers

    def _watch(self, name: str) -> Watch:
        if name not in self._watches:
            gate = self._levers.gate if name == self._levers.campaign else None
            self._watches[name] = Watch(self._runs / name, partial(draw, gate=gate))
        return self._watches[name]

    def _known(self, request: Request) -> Watch:
        """The campaign that a path names. Raises HTTPException for one that is not there."""
        name = request.path_params["name"]
        if name not in self._watches and name != self._levers.campaign and name not in names(self._runs):
            raise HTTPException(404)
        return self._watch(name)

    def _aside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Work that goes on when the request is over."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def _html(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        session: Session | None = request.state.session
        notice = ""
        if session is not None:
            notice, session.notice = session.notice, ""
        page = _templates().get_template(template)
        text = page.render(session=session, notice=notice, can_log_in=self.can_log_in, **values)
        return HTMLResponse(text, status)


def draw(ledger: Ledger, *, gate: GateSettings | None) -> dict[str, str]:
    """The sections of the report by their element id; with the gate's numbers its verdicts are recomputed."""
    return cut(render(collect(ledger, gate), live=True))


def cut(page: str) -> dict[str, str]:
    """The sections of a report's page. Nobody else can write `<section`: strangers' texts are escaped in it."""
    starts = [(match.start(), match[1]) for match in re.finditer(r'<section id="([a-z]+)"', page)]
    ends = [start for start, _ in starts[1:]] + [len(page)]
    close = "</section>"
    return {
        name: page[start : page.rindex(close, start, end) + len(close)]
        for (start, name), end in zip(starts, ends, strict=True)
    }


def tags(drawn: Drawn) -> dict[str, str]:
    """Section id -> a tag that changes with its text."""
    return {
        name: hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16] for name, text in drawn.sections.items()
    }


async def asset(request: Request) -> Response:
    """One of our own files, out of a fixed list."""
    name = request.path_params["file"]
    if name not in ASSETS:
        raise HTTPException(404)
    return Response(_file(name), media_type=ASSETS[name])


@cache
def _file(name: str) -> bytes:
    room = "agent.review.report" if name.startswith("report.") else "agent.review.dashboard"
    return files(room).joinpath("templates", name).read_bytes()


@cache
def _templates() -> Environment:
    # The filter of the report serves the live page too.
    loader = ChoiceLoader([PackageLoader("agent.review.dashboard"), PackageLoader("agent.review.report")])
    templates = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters |= {
        "line": visible,
        "clock": lambda at: time.strftime("%H:%M:%S", time.localtime(at)),
        "stamp": lambda at: time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at)),
        "odds": lambda log: f"{math.exp(min(log, 700.0)):.3g}",
        "amount": lambda value: f"{value:,.0f}" if value == int(value) else f"{value:,.2f}",
    }
    return templates


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


async def _plain(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return PlainTextResponse("not here\n", status, getattr(error, "headers", None))


# ------------------------------------------------------------------------------------ the server


class _Server(uvicorn.Server):
    """uvicorn, which would wait for open streams for ever when it is asked to end."""

    def __init__(self, dashboard: Dashboard) -> None:
        super().__init__(
            uvicorn.Config(
                dashboard.app, lifespan="off", ws="none", log_level="warning", access_log=False, server_header=False,
                proxy_headers=False, timeout_graceful_shutdown=3, h11_max_incomplete_event_size=32 << 10,
                limit_concurrency=4 * MAX_STREAMS,
            )
        )  # fmt: skip
        self._dashboard = dashboard

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._dashboard.close()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at one address. Raises UserError."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UserError("--host", f"{host[:80]} is no address of this machine", "Use 127.0.0.1.") from error
    listening = socket.socket(family, kind, proto)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        problem = f"cannot listen at {host} port {port} ({error.strerror})"
        raise UserError("--port", problem, "Choose another one; 0 takes any that is free.") from error
    return listening


def is_loopback(listening: socket.socket) -> bool:
    """Whether only this machine can connect."""
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback


def address(listening: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_until_interrupted(dashboard: Dashboard, listening: socket.socket) -> None:
    """Serve until Ctrl-C."""
    with closing(listening), suppress(KeyboardInterrupt):
        _Server(dashboard).run(sockets=[listening])
