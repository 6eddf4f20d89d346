"""The two official SDKs as providers: one attempt an ask, raw JSON in and out, errors sorted by blame."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

from agent.config.models import ModelConfig
from agent.models.ports import BadCall, Blame, Dialect, Json, KeyRefused, Question, Trouble
from agent.models.redact import Redactor

if TYPE_CHECKING:
    import anthropic
    import openai

_AUTH = (401, 403)
_REFUSED = (402, 404)
_BUSY = (429, 503, 529)
_AGAIN = (408, 409, 425)
_SERVER = 500
_PROBE_TEXT = "Say ok."


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


def sort_status(status: int, message: str, headers: Mapping[str, str], *, code: str | None, key_env: str) -> Exception:
    """What an error status means: BadCall for the box's doing, Trouble with its blame for the rest."""
    said = f"HTTP {status}: {message[:500]}"
    if status == 401:  # noqa: PLR2004
        return KeyRefused(f"{key_env}: the provider does not accept this key ({said}). Set {key_env} to a valid key")
    if status in (*_AUTH, *_REFUSED):
        return Trouble(f"{said} (key from {key_env})", blame=Blame.REFUSED)
    if code == "insufficient_quota":
        return Trouble(f"no credit left for the key in {key_env} ({said})", blame=Blame.FINAL)
    if status in _BUSY:
        return Trouble(said, blame=Blame.BUSY, retry_after=retry_after(headers))
    if status >= _SERVER or status in _AGAIN:
        return Trouble(said, retry_after=retry_after(headers))
    return BadCall(status, message[:2000], code=code or "invalid_request")


def _detail(body: object) -> tuple[str | None, str | None]:
    """Message and code out of an error body of either dialect."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(inner, dict):
        return None, None
    code = inner.get("code") or inner.get("type")
    message = inner.get("message")
    return (str(message) if message else None), (str(code) if code else None)


class Unreachable(Trouble):
    """The connection could not be made, or broke before the answer was complete."""


class _SdkProvider:
    """What the two SDKs share: they are built alike."""

    native = Dialect.CHAT
    path = "/chat/completions"

    def __init__(self, model: ModelConfig, redactor: Redactor) -> None:
        self._model, self._redactor = model, redactor
        self._client: Any = None
        self._module: Any = None

    async def start(self) -> None:
        """Make the client."""
        key = os.environ.get(self._model.key_env or "") or "none"
        self.connect(key, self._model.base_url)

    def connect(self, key: str, base_url: str | None) -> Self:
        """Make the client for a key and an address."""
        raise NotImplementedError

    async def ask(self, question: Question) -> Json:
        """One attempt."""
        return await self._post(question.body)

    async def probe(self) -> None:
        """A one-word question."""
        body = {
            "model": self._model.model,
            "messages": [{"role": "user", "content": _PROBE_TEXT}],
            **self.small(),
        }
        try:
            await self._post(body)
        except BadCall as error:
            raise Trouble(f"the provider refuses even a trivial request: {error}", blame=Blame.FINAL) from error

    def small(self) -> Json:
        """The parameter that keeps an answer short."""
        return {"max_tokens": 16}

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _post(self, body: Json) -> Json:
        sdk = self._module
        try:
            answer = await self._client.post(self.path, body=body, cast_to=object)
        except sdk.APIStatusError as error:
            raise self._sorted(error) from None
        except sdk.APIConnectionError as error:
            cause = f"{type(error.__cause__).__name__}: {error.__cause__}" if error.__cause__ else ""
            raise Unreachable(self._redactor.text(f"no connection to the provider: {error.message} {cause}")) from None
        except (sdk.APIError, ValueError) as error:
            raise Trouble(self._redactor.text(f"the provider's answer is no JSON: {str(error)[:200]}")) from None
        if not isinstance(answer, dict):
            raise Trouble("the provider's answer is no JSON object")
        if answer.get("error"):
            message, _ = _detail(answer)
            raise Trouble(self._redactor.text(f"the provider answered with an error: {(message or '?')[:500]}"))
        return answer

    def _sorted(self, error: Any) -> Exception:
        message, code = _detail(error.body)
        clean = self._redactor.text(message or error.message)
        key_env = self._model.key_env or "no key"
        return sort_status(error.status_code, clean, error.response.headers, code=code, key_env=key_env)


class OpenAIProvider(_SdkProvider):
    """Any OpenAI-compatible endpoint, through the official SDK."""

    def connect(self, key: str, base_url: str | None) -> Self:
        """Make the client for a key and an address."""
        import openai  # noqa: PLC0415 - half a second that only a run with this provider pays

        self._module = openai
        client: openai.AsyncOpenAI = openai.AsyncOpenAI(
            api_key=key, base_url=base_url, max_retries=0, timeout=self._model.timeout
        )
        self._client = client
        return self

    def small(self) -> Json:
        """The parameter that keeps an answer short."""
        return {self._model.limit_field: 16}


class AnthropicProvider(_SdkProvider):
    """Anthropic, or anything that speaks Messages, through the official SDK."""

    native = Dialect.MESSAGES
    path = "/v1/messages"

    def connect(self, key: str, base_url: str | None) -> Self:
        """Make the client for a key and an address."""
        import anthropic  # noqa: PLC0415 - half a second that only a run with this provider pays

        self._module = anthropic
        client: anthropic.AsyncAnthropic = anthropic.AsyncAnthropic(
            api_key=key, base_url=base_url, max_retries=0, timeout=self._model.timeout
        )
        self._client = client
        return self
