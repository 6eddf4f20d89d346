"""Who is logged in to the dashboard: signed cookies with an age, by itsdangerous.

The key lives in memory only, so a restart logs everybody out. Nothing is kept for a login except that it has ended.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadSignature, Signer, TimestampSigner, want_bytes

SESSION_SECONDS: Final = 12 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """Somebody who showed the token; `form` is what each of their forms must carry. Programs have no forms."""

    id: str = ""
    form: str = ""
    program: bool = False


class _Dated(TimestampSigner):
    """Signs with the time of a given clock, in Unix seconds.

    A signature must be the very text that was given out: decoders of base64 read some bytes from more than one text.
    """

    def __init__(self, key: bytes, clock: Callable[[], float]) -> None:
        super().__init__(key, salt="login")
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock())

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        return hmac.compare_digest(want_bytes(sig), self.get_signature(value))


class Logins:
    """Begins, recognises and ends logins. They last `SESSION_SECONDS` from their beginning."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        key = secrets.token_bytes(32)
        self._clock = clock
        self._dated, self._forms = _Dated(key, clock), Signer(key, salt="form")
        self._ended: dict[str, float] = {}

    def begin(self) -> str:
        """The cookie of a new login."""
        return self._dated.sign(secrets.token_urlsafe(24)).decode()

    def find(self, cookie: str) -> Login | None:
        """The login that a cookie stands for; None if it is forged, too old or ended."""
        try:
            name = self._dated.unsign(cookie, max_age=SESSION_SECONDS).decode()
        except BadSignature:
            return None
        return None if name in self._ended else Login(id=name, form=self._forms.get_signature(name).decode())

    def end(self, cookie: str) -> None:
        """End a login before its time."""
        now = self._clock()
        self._ended = {name: until for name, until in self._ended.items() if until > now}
        if (login := self.find(cookie)) is not None:
            self._ended[login.id] = now + SESSION_SECONDS
