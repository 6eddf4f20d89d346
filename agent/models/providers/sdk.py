"""The two official SDKs as providers: one attempt an ask, raw JSON in and out, errors sorted by blame."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from agent.base.refusal import Aside
from agent.config.models import ModelConfig
from agent.models.dialects import replies
from agent.models.dialects.formats import FORMATS
from agent.models.ports import (
    MISSHAPEN,
    NO_HEADERS,
    Asides,
    BadCall,
    Blame,
    Dialect,
    Json,
    Learned,
    Question,
    Trouble,
    unbooked,
)
from agent.models.providers import errors, network
from agent.models.providers.parameters import Parameters
from agent.models.redact import Redactor

if TYPE_CHECKING:
    import anthropic
    import openai

_PROBE_TEXT = "Say ok."
_PROBE_TOKENS = 1024
"""A reasoning model answers a tiny limit with an error; a word takes as few tokens under this one."""
_MAX_REDIRECTS = 3
_REDIRECT = range(300, 400)
_NO_SUCH_PATH = (404, 405)
_NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")
"""Errors of the connection that come before a request is sent, so that nothing can have been generated."""


class Unreachable(Trouble):
    """The connection could not be made, or broke before the answer was complete."""


class _SdkProvider:
    """What the two SDKs share: they are built alike."""

    native = Dialect.CHAT
    path = "/chat/completions"
    ending = ""
    """What a base URL may not end with."""

    def __init__(
        self,
        model: ModelConfig,
        redactor: Redactor,
        learned: Learned | None = None,
        asides: Asides = unbooked,
    ) -> None:
        self._model, self._redactor, self._asides = model, redactor, asides
        self._parameters = Parameters(model, self.native, learned, asides)
        self._base = network.base(model.base_url, self.ending)
        self._client: Any = None
        self._module: Any = None

    async def start(self) -> None:
        """Make the client."""
        key = os.environ.get(self._model.key_env or "") or "none"
        self.connect(key, self._base)

    def connect(self, key: str, base_url: str | None) -> Self:
        """Make the client for a key and an address."""
        raise NotImplementedError

    def _transport(self) -> Any:
        """The SDK's own transport, with our certificates, and without a proxy before this machine itself."""
        return self._module.DefaultAsyncHttpxClient(
            verify=network.certificates(self._model.ca_file),
            trust_env=not network.is_loopback(self._base),
            follow_redirects=False,
        )

    async def ask(self, question: Question) -> Json:
        """One attempt."""

        async def post(body: Json) -> Json:
            return await self._exchange(body, question.headers)

        return await self._parameters.ask(question.body, post)

    def left_out(self, body: Json) -> tuple[str, ...]:
        """The parameters of a request that this model does not take."""
        return self._parameters.shape(body)[1]

    @property
    def not_taken(self) -> tuple[str, ...]:
        """Every parameter that is known not to be taken."""
        return self._parameters.not_taken

    async def probe(self) -> None:
        """A one-word question. An answer is judged as a call's is, but a provider that refuses the question is up."""
        body = {
            "model": self._model.model,
            "messages": [{"role": "user", "content": _PROBE_TEXT}],
            **self.small(),
        }
        try:
            answer = await self._asides(Aside.PROBE, self.native, self._parameters.shape(body)[0], self._exchange)
        except BadCall:
            return
        FORMATS[self.native].complete(answer)

    async def _exchange(self, body: Json, headers: Mapping[str, str] = NO_HEADERS) -> Json:
        return self._read(await self._post(body, headers))

    def small(self) -> Json:
        """The parameter that keeps an answer short."""
        return {"max_tokens": min(_PROBE_TOKENS, self._model.output_limit)}

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    def _read(self, text: str) -> Json:
        try:
            return replies.read(self.native, text, finish_optional=self._model.finish_reason == "optional")
        except Trouble as error:
            clean = self._redactor.text(str(error))
            raise Trouble(clean, blame=error.blame, retry_after=error.retry_after, billed=error.billed) from None
        except MISSHAPEN as error:
            raise Trouble(f"the provider's answer is misshapen ({type(error).__name__})", billed=True) from error

    async def _post(self, body: Json, headers: Mapping[str, str]) -> str:
        """Send a request, to where the endpoint really is; the body of a 2xx."""
        try:
            return await self._send(self.path, body, headers)
        except self._module.APIStatusError as error:
            found = await self._elsewhere(error, body, headers)
            if found is not None:
                return found
            raise self._sorted(error) from None

    async def _send(self, path: str, body: Json, headers: Mapping[str, str]) -> str:
        sdk = self._module
        for _ in range(_MAX_REDIRECTS):
            try:
                text: str = await self._client.post(path, body=body, cast_to=str, options={"headers": dict(headers)})
            except sdk.APIStatusError as error:
                response = error.response
                target = network.redirected(str(response.request.url), response.headers.get("location"))
                if response.status_code not in _REDIRECT or target is None:
                    raise
                path = target
            except sdk.APIConnectionError as error:
                said = self._redactor.text(self._unreachable(error))
                raise Unreachable(said, billed=type(error.__cause__).__name__ not in _NEVER_SENT) from None
            except (sdk.APIError, ValueError) as error:
                said = self._redactor.text(f"the provider's answer cannot be read: {str(error)[:200]}")
                raise Trouble(said, billed=True) from None
            else:
                return text
        raise Trouble(f"{self._base} redirects more than {_MAX_REDIRECTS} times. Set `base_url` to where it ends")

    async def _elsewhere(self, error: Any, body: Json, headers: Mapping[str, str]) -> str | None:
        """The answer at the other usual path; None where there is none. Found once, it is kept."""
        other = self.other_path
        if other is None or error.status_code not in _NO_SUCH_PATH:
            return None
        try:
            text = await self._send(other, body, headers)
        except self._module.APIStatusError as second:
            if second.status_code in _NO_SUCH_PATH and not errors.is_json(second.response.text):
                return None
            self.path = other
            raise self._sorted(second) from None
        self.path = other
        return text

    @property
    def other_path(self) -> str | None:
        """Where the endpoint may be as well; None if its path is known."""
        return None

    def _unreachable(self, error: Any) -> str:
        cause = f"{type(error.__cause__).__name__}: {error.__cause__}" if error.__cause__ else ""
        where = self._base or "the provider's own address"
        through = network.proxy(self._base)
        said = f"no connection to {where}: {error.message} {cause}".strip()
        return f"{said} (through the proxy in {through}; NO_PROXY excepts hosts)" if through else said

    def _sorted(self, error: Any) -> Exception:
        status = error.status_code
        if status in _REDIRECT:
            target = self._redactor.text(str(error.response.headers.get("location")))[:200]
            return Trouble(f"{self._base} redirects to {target}. Set `base_url` to that", blame=Blame.FINAL)
        told = errors.detail(error.response.text)
        clean = errors.Detail(
            message=self._redactor.text(told.message),
            code=told.code,
            param=self._redactor.text(told.param),
            written=told.written,
        )
        key_env = self._model.key_env or "no key"
        return errors.sort_status(status, clean, error.response.headers, key_env=key_env)


class OpenAIProvider(_SdkProvider):
    """Any OpenAI-compatible endpoint, through the official SDK."""

    def connect(self, key: str, base_url: str | None) -> Self:
        """Make the client for a key and an address."""
        import openai  # noqa: PLC0415 - half a second that only a run with this provider pays

        self._module, self._base = openai, base_url
        client: openai.AsyncOpenAI = openai.AsyncOpenAI(
            api_key=key,
            base_url=base_url,
            max_retries=0,
            timeout=self._model.timeout,
            http_client=self._transport(),
        )
        self._client = client
        return self

    @property
    def other_path(self) -> str | None:
        """Below `/v1`, where a base URL is only a host."""
        if self._base is None or urlsplit(self._base).path or self.path.startswith("/v1"):
            return None
        return f"/v1{self.path}"

    def small(self) -> Json:
        """The parameter that keeps an answer short."""
        return {self._model.limit_field: min(_PROBE_TOKENS, self._model.output_limit)}


class AnthropicProvider(_SdkProvider):
    """Anthropic, or anything that speaks Messages, through the official SDK."""

    native = Dialect.MESSAGES
    path = "/v1/messages"
    ending = "/v1"

    def connect(self, key: str, base_url: str | None) -> Self:
        """Make the client for a key and an address."""
        import anthropic  # noqa: PLC0415 - half a second that only a run with this provider pays

        self._module, self._base = anthropic, base_url
        client: anthropic.AsyncAnthropic = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=base_url,
            max_retries=0,
            timeout=self._model.timeout,
            http_client=self._transport(),
        )
        self._client = client
        return self
