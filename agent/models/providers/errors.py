"""A provider's refusals: what they say in which shape, and whose doing they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from agent.models.dialects import faults, replies
from agent.models.ports import BadCall, Blame, KeyRefused, Trouble

_AUTH = (401, 403)
_REFUSED = (402, 404, 405)
_BUSY = (429, 503, 529)
_AGAIN = (408, 409, 425)
_GAVE_UP = (408, 504, 524)
"""Somebody on the way stopped waiting for an answer that the model may have written all the same."""
_SERVER = 500
_BODY_SHOWN = 500
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_LOADING = ("loading", "warming up", "starting")


class Rejected(BadCall):
    """A 4xx about this request. `about`: everything in it that may name a parameter."""

    def __init__(self, status: int, message: str, *, code: str, about: str) -> None:
        super().__init__(status, message, code=code)
        self.about = about


class Loading(Trouble):
    """The server is up and says that its model is not ready yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """What an error body says. `written`: the model wrote an answer, and the server found it malformed."""

    message: str
    code: str | None
    param: str
    written: bool = False


def detail(text: str) -> Detail:
    """The server's own words, whatever shape they have: an object, a text, a list, HTML, nothing."""
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        title = _TITLE.search(text)
        return Detail(message=replies.shown(title[1] if title else text), code=None, param="")
    message, code = faults.said(body)
    return Detail(message=message, code=code, param=_param(body), written=_written(body))


def is_json(text: str) -> bool:
    """Whether a body is an API's answer, and not a web server's page."""
    return text.lstrip()[:1] in ("{", "[")


def _param(body: Any) -> str:
    """The parameter that a body says it is about, in the fields that servers use for that."""
    inner = body.get("error", body.get("detail", body)) if isinstance(body, dict) else body
    first = inner[0] if isinstance(inner, list) and inner else inner
    if not isinstance(first, dict):
        return ""
    loc = first.get("loc")
    named = first.get("param") or (".".join(map(str, loc)) if isinstance(loc, list) else "")
    return str(named)


def _written(body: Any) -> bool:
    error = body.get("error") if isinstance(body, dict) else None
    return isinstance(error, dict) and "failed_generation" in error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply asks to wait: milliseconds, seconds or a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def sort_status(status: int, said: Detail, headers: Mapping[str, str], *, key_env: str) -> Exception:
    """What an error status means: BadCall for the box's doing, Trouble with its blame for the rest."""
    text = f"HTTP {status}: {said.message[:_BODY_SHOWN]}"
    if status == 401:  # noqa: PLR2004
        return KeyRefused(f"{key_env}: the provider does not accept this key ({text}). Set {key_env} to a valid key")
    if status in (*_AUTH, *_REFUSED):
        return Trouble(f"{text} (key from {key_env})", blame=Blame.REFUSED)
    if said.code == "insufficient_quota":
        return Trouble(f"no credit left for the key in {key_env} ({text})", blame=Blame.FINAL)
    if status in _BUSY:
        kind = Loading if any(word in said.message.lower() for word in _LOADING) else Trouble
        return kind(text, blame=Blame.BUSY, retry_after=retry_after(headers))
    if said.written or status >= _SERVER or status in _AGAIN:
        return Trouble(text, retry_after=retry_after(headers), billed=said.written or status in _GAVE_UP)
    about = f"{said.param} {said.message}"
    return Rejected(status, said.message[:2000], code=said.code or "invalid_request", about=about)
