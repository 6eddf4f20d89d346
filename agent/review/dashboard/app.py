"""The dashboard: the report of a campaign, live, and a few actions for those who have the token.

Read-only and on loopback by default; `guard` decides who may do what. Nothing is loaded from elsewhere, and every text
of a model is made visible and escaped before it is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.base.errors import InfrastructureError, UserError
from agent.kernel.decide.gate import GateSettings
from agent.kernel.record.ledger import Ledger
from agent.review.dashboard.actions import Actions
from agent.review.dashboard.guard import LOGIN, Guard, Rules, authorised_form
from agent.review.dashboard.logins import Login
from agent.review.dashboard.pages import ASSETS, asset, render_page
from agent.review.dashboard.watch import Drawn, Watch, apart, names
from agent.review.report.facts import collect
from agent.review.report.page import SECTIONS, render_sections

MAX_STREAMS: Final = 64
BEAT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 4.0
_DIGITS: Final = 9
_FRESH_SECONDS: Final = 0.3
"""How long a page waits for its report to be drawn; a slower one follows when it is ready."""


class Dashboard:
    """The web application over one folder of campaigns."""

    def __init__(self, runs: Path, rules: Rules, actions: Actions) -> None:
        self._runs, self._actions = runs, actions
        self._watches: dict[str, Watch] = {}
        self._notices: dict[str, str] = {}
        self._streams, self._closing = 0, False
        self._work: set[asyncio.Task[Any]] = set()
        routes = [
            Route("/", self.index),
            Route("/c/{name}", self.bare),
            Route("/c/{name}/", self.page),
            Route("/c/{name}/events", self.events),
            Route("/c/{name}/part/{part}", self.part),
            Route("/c/{name}/{action}", self.act, methods=["POST"]),
            Route(LOGIN, self.login, methods=["GET", "POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/assets/{file}", _asset),
        ]
        guard = Middleware(Guard, rules=rules, public=[f"/assets/{name}" for name in ASSETS])
        self.can_log_in = rules.token is not None
        self.app = Starlette(routes=routes, middleware=[guard], exception_handlers={HTTPException: _plain})
        self.app.router.redirect_slashes = False

    async def close(self) -> None:
        """End every stream, and close every ledger."""
        self._closing = True
        for watch in self._watches.values():
            await watch.close()

    # ---------------------------------------------------------------------------- reading

    async def index(self, request: Request) -> Response:
        """Every campaign of the folder."""
        known = sorted({*names(self._runs), self._actions.campaign})
        views = await asyncio.gather(*(self._watch(name).refresh() for name in known))
        return self._html(request, "campaigns.html", views=views)

    async def bare(self, request: Request) -> Response:
        """The page's address without the final slash."""
        return RedirectResponse(f"/c/{self._known(request).folder.name}/", 307)

    async def page(self, request: Request) -> Response:
        """One campaign: what it is doing now, and its report as far as it is drawn."""
        watch = self._known(request)
        view = await watch.refresh()
        # The first drawing takes the processor, and the page's own files come first: the stream or a reload starts it.
        first, watch.opened = not watch.opened, True
        if not first:
            await asyncio.wait({self._aside(watch.redraw())}, timeout=_FRESH_SECONDS)
        rendered = watch.drawn.sections if watch.drawn else {}
        now = self._now(request, watch)
        return self._html(request, "dashboard.html", view=view, now=now, sections=SECTIONS, rendered=rendered)

    async def part(self, request: Request) -> Response:
        """One section of the report."""
        watch, part = self._known(request), request.path_params["part"]
        if watch.drawn is None or part not in watch.drawn.sections:
            raise HTTPException(404)
        return HTMLResponse(watch.drawn.sections[part])

    async def events(self, request: Request) -> Response:
        """The stream of a campaign: `now` carries its panel, `report` the tags of the sections."""
        watch = self._known(request)
        if self._streams >= MAX_STREAMS:
            return PlainTextResponse("too many readers\n", 503)
        return StreamingResponse(self._stream(request, watch), media_type="text/event-stream")

    async def _stream(self, request: Request, watch: Watch) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            yield b"retry: 1000\n\n"
            async with watch.reading():
                await watch.refresh()
                seen, panel = -1, ""
                drawn: Drawn | None = None
                while not self._closing and request.state.guard.still_in(request):
                    if (now := self._now(request, watch)) != panel:
                        panel = now
                        yield _event("now", {"html": now, "doing": watch.view.doing})
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
        view = watch.view
        return render_page("now.html", view=view, login=request.state.login, mine=view.name == self._actions.campaign)

    # ---------------------------------------------------------------------------- actions

    async def act(self, request: Request) -> Response:
        """Start, stop, approve or reject: needs the token, and the form's own token."""
        watch, action, login = self._known(request), request.path_params["action"], request.state.login
        fields = await authorised_form(request)
        if fields is None:
            return PlainTextResponse("this form is not from this page, or it is too old: reload the page\n", 403)
        notice = await self._carry_out(watch, self._order(watch, action, fields))
        if login.program:
            return PlainTextResponse(notice + "\n")
        self._notices[login.id] = notice
        return RedirectResponse(f"/c/{watch.view.name}/", 303)

    def _order(self, watch: Watch, action: str, fields: Mapping[str, str]) -> Callable[[], str]:
        """What an action does. Raises HTTPException for an unknown one."""
        if watch.folder.name != self._actions.campaign:
            raise HTTPException(404)  # the configuration is of one campaign, and so are the actions
        if action in {"start", "stop"}:
            return self._actions.start if action == "start" else self._actions.stop
        candidate = fields.get("candidate", "")[:_DIGITS]
        if action not in {"approve", "reject"} or not (candidate.isascii() and candidate.isdigit()):
            raise HTTPException(404)
        by, why = fields.get("by", "").strip() or "dashboard", fields.get("why", "")
        return partial(self._actions.decide, int(candidate), approve=action == "approve", by=by, why=why)

    async def _carry_out(self, watch: Watch, order: Callable[[], str]) -> str:
        """The result of an action, or that it takes longer."""
        work = self._aside(apart(order))
        done, _ = await asyncio.wait({work}, timeout=_ANSWER_SECONDS)
        await watch.refresh()
        if not done:
            return "requested; this takes a moment, the result will appear below"
        try:
            return str(work.result())
        except (UserError, InfrastructureError) as error:
            return str(error)

    async def login(self, request: Request) -> Response:
        """The form that takes the token, and its answer."""
        if request.method == "POST" and self.can_log_in:
            answer = RedirectResponse("/", 303)
            if await request.state.guard.log_in(request, answer):
                return answer
            return self._html(request, "login.html", status=403, wrong=True)
        return self._html(request, "login.html", wrong=False)

    async def logout(self, request: Request) -> Response:
        """End the login."""
        if await authorised_form(request) is None:
            raise HTTPException(403)
        answer = RedirectResponse("/", 303)
        request.state.guard.log_out(request, answer)
        return answer

    # ---------------------------------------------------------------------------- helpers

    def _watch(self, name: str) -> Watch:
        if name not in self._watches:
            gate = self._actions.gate if name == self._actions.campaign else None
            self._watches[name] = Watch(self._runs / name, partial(draw, gate=gate))
        return self._watches[name]

    def _known(self, request: Request) -> Watch:
        """The campaign that a path names. Raises HTTPException for an unknown one."""
        name = request.path_params["name"]
        if name not in self._watches and name != self._actions.campaign and name not in names(self._runs):
            raise HTTPException(404)
        return self._watch(name)

    def _aside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Work that outlives its request."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def _html(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        login: Login | None = request.state.login
        notice = self._notices.pop(login.id, "") if login else ""
        text = render_page(template, login=login, notice=notice, can_log_in=self.can_log_in, **values)
        return HTMLResponse(text, status)


def draw(ledger: Ledger, *, gate: GateSettings | None) -> Mapping[str, str]:
    """The sections of the report by their element id; `gate` serves ledgers that do not hold the gate's settings."""
    return render_sections(collect(ledger, gate), live=True)


def tags(drawn: Drawn) -> dict[str, str]:
    """Section id -> a tag that changes with its text."""
    return {
        name: hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16] for name, text in drawn.sections.items()
    }


async def _asset(request: Request) -> Response:
    """One of our own files, from a fixed list."""
    name = request.path_params["file"]
    if name not in ASSETS:
        raise HTTPException(404)
    return Response(asset(name), media_type=ASSETS[name])


def _event(kind: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


async def _plain(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return PlainTextResponse("not here\n", status, getattr(error, "headers", None))
