"""Who may read the dashboard, and who may change anything through it.

Covered: other machines (the token), other web sites in the same browser (Host against DNS rebinding, Origin and a
form token against forged requests, a policy that lets nothing load or be framed), guessing at the token.
Not covered: other users of this machine may read a dashboard on loopback that has no token; whoever can listen to the
network can read along, as there is no TLS: bind to loopback and use a tunnel.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.base.errors import UserError

LOGIN: Final = "/login"
MAX_FORM: Final = 16 << 10
SESSION_SECONDS: Final = 12 * 3600.0
MAX_SESSIONS: Final = 64
_SHORTEST_TOKEN: Final = 20
_WRONG_SECONDS: Final = 1.0
_SAFE: Final = frozenset({"GET", "HEAD"})
_HEADERS: Final = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def policy(nonce: str | None = None) -> str:
    """The content security policy: nothing but our own files and, with a nonce, the page's own inline parts."""
    inline = f" 'nonce-{nonce}'" if nonce else ""
    return (
        f"default-src 'none'; script-src 'self'{inline}; style-src 'self'{inline}; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def read_token(path: Path) -> str:
    """The token in a file that its owner alone may read; a file that does not exist is made, with a fresh token.

    Raises:
        UserError: it cannot be read or made, others may read it, or it is too short to be kept secret.
    """
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
        mode, token = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            "--token-file", f"{path} cannot be read or made ({error})", "Name a file of your own."
        ) from error
    if mode & 0o077:
        raise UserError("--token-file", f"others may read {path}", f"Run `chmod 600 {path}`.")
    if len(token) < _SHORTEST_TOKEN or not token.isprintable():
        fix = "Remove it; a good one is made in its place."
        raise UserError("--token-file", f"{path} holds no token of {_SHORTEST_TOKEN} characters or more", fix)
    return token


@dataclass(kw_only=True, slots=True)
class Session:
    """Somebody who showed the token; `form` is what every form of theirs must carry. Programs have no forms."""

    form: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    until: float = field(default_factory=lambda: time.monotonic() + SESSION_SECONDS)
    notice: str = ""
    program: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What the guard goes by. `names` are the host names under which the server may be reached, besides addresses.

    `loopback` means that only this machine can connect; without it, reading needs the token too.
    """

    token: str | None
    loopback: bool
    names: frozenset[str] = frozenset()

    def knows_host(self, host: str) -> bool:
        """Whether a Host header can be ours. A name that somebody else's DNS points at us is not.

        Elsewhere than on loopback any address will do: an address is nothing that can be rebound.
        """
        name = _host_name(host)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost" or name in self.names
        return address.is_loopback or not self.loopback


class Guard:
    """ASGI middleware; what passes it has `request.state.session` (None for somebody without the token)."""

    def __init__(self, app: ASGIApp, rules: Rules, public: Iterable[str] = ()) -> None:
        self._app, self._rules, self._public = app, rules, frozenset({LOGIN, *public})
        self._sessions: dict[str, Session] = {}
        self._guessing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let the app answer; every answer carries the policy."""
        if scope["type"] != "http":
            return
        sending = _with_headers(send)
        request = Request(scope, receive)
        refusal = self._refusal(request)
        if refusal is None:
            scope.setdefault("state", {}).update(session=self._session(request), guard=self)
            refusal = self._stranger(request)
        await (refusal or self._app)(scope, receive, sending)

    def _refusal(self, request: Request) -> Response | None:
        """Requests that are wrong whoever makes them."""
        hosts, origins = request.headers.getlist("host"), request.headers.getlist("origin")
        if len(hosts) != 1 or not self._rules.knows_host(hosts[0]):
            return PlainTextResponse("this host name is not served here; see --allow-host\n", 421)
        if request.method not in _SAFE and any(_other(origin, hosts[0]) for origin in origins):
            return PlainTextResponse("this request comes from another site\n", 403)
        return None

    def _stranger(self, request: Request) -> Response | None:
        """Somebody without the token reads on loopback, and logs in; nothing else."""
        if request.state.session is not None or request.url.path in self._public:
            return None
        if request.method not in _SAFE:
            return PlainTextResponse("this needs the token\n", 403)
        if self._rules.loopback:
            return None
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(LOGIN, 303)
        return PlainTextResponse("this needs the token\n", 401, {"www-authenticate": "Bearer"})

    def _session(self, request: Request) -> Session | None:
        if self._rules.token is None:
            return None
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self._rules.token):
            return Session(program=True)
        session = self._sessions.get(_cookie(request.headers, self.cookie(request)))
        return session if session is not None and session.until > time.monotonic() else None

    # ---------------------------------------------------------------------------- for the app

    @staticmethod
    def cookie(request: Request) -> str:
        """The name of the session's cookie: cookies do not know ports, so the port is in the name."""
        return f"ratchet-{(request.scope.get('server') or ('', 0))[1]}"

    async def log_in(self, request: Request, answer: Response) -> bool:
        """Check the token in a form and, if it is right, begin a session with `answer`. Wrong guesses queue up."""
        if self._rules.token is None:
            return False
        given = (await form(request)).get("token", "").strip()
        async with self._guessing:
            if not _same(given, self._rules.token):
                await asyncio.sleep(_WRONG_SECONDS)
                return False
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        key = secrets.token_urlsafe(32)
        self._sessions[key] = Session()
        answer.set_cookie(self.cookie(request), key, httponly=True, samesite="strict", max_age=int(SESSION_SECONDS))
        return True

    def log_out(self, request: Request, answer: Response) -> None:
        """End the session of a request."""
        if (session := self._sessions.pop(_cookie(request.headers, self.cookie(request)), None)) is not None:
            session.until = 0.0  # its open streams end
        answer.delete_cookie(self.cookie(request))


async def authorised_form(request: Request) -> dict[str, str] | None:
    """The fields of a form that its owner sent; None if it lacks the session's own form token."""
    session: Session = request.state.session
    fields = await form(request)
    return fields if session.program or _same(fields.get("form", ""), session.form) else None


async def form(request: Request) -> dict[str, str]:
    """The fields of a small URL-encoded form; anything else has none."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return {}
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            return {}
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("content-security-policy", policy())
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return sending


def _host_name(host: str) -> str:
    """The name or address in a Host header, "" for nonsense."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = (parts.hostname or "").lower().rstrip("."), parts.port  # a port that is none raises, too
    except ValueError:
        return ""
    return "" if parts.path or parts.query or parts.fragment or "@" in parts.netloc else name


def _other(origin: str, host: str) -> bool:
    """Whether an Origin header names another site than the one asked. A tunnel may change scheme, never the host."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    return parts.scheme not in {"http", "https"} or parts.netloc.lower() != host.lower()


def _cookie(headers: Headers, name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())
