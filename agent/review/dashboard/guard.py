"""Who may read the dashboard, and who may change anything through it.

Covered: other machines (the token), other web sites in the same browser (Host against DNS rebinding, Origin and a
form token against forged requests, a policy that lets nothing load or be framed), guessing the token.
Not covered: other users of this machine can read a dashboard on loopback that has no token. There is no TLS, so anybody
who can listen on the network can read along: bind to loopback and use a tunnel.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.base.errors import UserError
from agent.review.dashboard.logins import SESSION_SECONDS, Login, Logins

LOGIN: Final = "/login"
MAX_FORM: Final = 16 << 10
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
    """The token in a file that only its owner may read; a missing file is created with a new token.

    Raises:
        UserError: it cannot be read or created, others may read it, or it is too short to be a secret.
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
            "--token-file", f"{path} cannot be read or created ({error})", "Name a file of your own."
        ) from error
    if mode & 0o077:
        raise UserError("--token-file", f"others may read {path}", f"Run `chmod 600 {path}`.")
    if len(token) < _SHORTEST_TOKEN or not token.isprintable():
        fix = "Remove the file; a new one is created."
        raise UserError("--token-file", f"{path} has no token of {_SHORTEST_TOKEN} characters or more", fix)
    return token


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The guard's settings. `names` are the host names under which the server may be reached, besides addresses.

    `loopback` means that only this machine can connect; without it, reading needs the token too.
    """

    token: str | None
    loopback: bool
    names: frozenset[str] = frozenset()

    def knows_host(self, host: str) -> bool:
        """Whether a Host header can be ours. A name that somebody else's DNS points at us is not.

        Beyond loopback every address is accepted: addresses cannot be rebound.
        """
        name = _host_name(host)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost" or name in self.names
        return address.is_loopback or not self.loopback


class Guard:
    """ASGI middleware; requests that pass it have `request.state.login` (None without the token)."""

    def __init__(self, app: ASGIApp, rules: Rules, public: Iterable[str] = (), logins: Logins | None = None) -> None:
        self._app, self._rules, self._public = app, rules, frozenset({LOGIN, *public})
        self._logins = logins or Logins()
        self._guessing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let the app answer; every response carries the policy."""
        if scope["type"] != "http":
            return
        sending = _with_headers(send)
        request = Request(scope, receive)
        refusal = self._refusal(request)
        if refusal is None:
            scope.setdefault("state", {}).update(login=self._login(request), guard=self)
            refusal = self._stranger(request)
        await (refusal or self._app)(scope, receive, sending)

    def _refusal(self, request: Request) -> Response | None:
        """Refuse requests that are wrong for everybody."""
        hosts, origins = request.headers.getlist("host"), request.headers.getlist("origin")
        if len(hosts) != 1 or not self._rules.knows_host(hosts[0]):
            return PlainTextResponse("this host name is not served here; see --allow-host\n", 421)
        if request.method not in _SAFE and any(_other(origin, hosts[0]) for origin in origins):
            return PlainTextResponse("this request comes from another site\n", 403)
        return None

    def _stranger(self, request: Request) -> Response | None:
        """Without the token one can read on loopback and log in, nothing else."""
        if request.state.login is not None or request.url.path in self._public:
            return None
        if request.method not in _SAFE:
            return PlainTextResponse("this needs the token\n", 403)
        if self._rules.loopback:
            return None
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(LOGIN, 303)
        return PlainTextResponse("this needs the token\n", 401, {"www-authenticate": "Bearer"})

    def _login(self, request: Request) -> Login | None:
        if self._rules.token is None:
            return None
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self._rules.token):
            return Login(program=True)
        return self._logins.find(self._cookie(request))

    # ---------------------------------------------------------------------------- for the app

    @staticmethod
    def cookie(request: Request) -> str:
        """The name of the login's cookie. Browsers send cookies to all ports of a host, so the name holds the port."""
        return f"ratchet-{(request.scope.get('server') or ('', 0))[1]}"

    async def log_in(self, request: Request, answer: Response) -> bool:
        """Check the token in a form and, if it is right, begin a login with `answer`. Wrong guesses wait in line."""
        if self._rules.token is None:
            return False
        given = (await form(request)).get("token", "").strip()
        async with self._guessing:
            if not _same(given, self._rules.token):
                await asyncio.sleep(_WRONG_SECONDS)
                return False
        self._logins.end(self._cookie(request))
        cookie, name = self._logins.begin(), self.cookie(request)
        answer.set_cookie(name, cookie, httponly=True, samesite="strict", max_age=SESSION_SECONDS)
        return True

    def log_out(self, request: Request, answer: Response) -> None:
        """End the login of a request; its open streams end too."""
        self._logins.end(self._cookie(request))
        answer.delete_cookie(self.cookie(request))

    def still_in(self, request: Request) -> bool:
        """Whether the login of a request that takes long has neither ended nor expired."""
        login: Login | None = request.state.login
        return login is None or login.program or self._logins.find(self._cookie(request)) is not None

    def _cookie(self, request: Request) -> str:
        return _cookie(request.headers, self.cookie(request))


async def authorised_form(request: Request) -> dict[str, str] | None:
    """The fields of a form that its owner sent; None if it lacks the login's own form token."""
    login: Login = request.state.login
    fields = await form(request)
    return fields if login.program or _same(fields.get("form", ""), login.form) else None


async def form(request: Request) -> dict[str, str]:
    """The fields of a small URL-encoded form; empty for anything else."""
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
    """The name or address in a Host header, "" if it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = (parts.hostname or "").lower().rstrip("."), parts.port  # an invalid port raises
    except ValueError:
        return ""
    return "" if parts.path or parts.query or parts.fragment or "@" in parts.netloc else name


def _other(origin: str, host: str) -> bool:
    """Whether an Origin header names another site than the requested one. A tunnel may change scheme, not host."""
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
