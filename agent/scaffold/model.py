"""The model, over the OpenAI-compatible HTTP of the gateway."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

MARGIN = 5.0  # seconds kept back before the deadline to hand in what there is


class ModelError(Exception):
    """The gateway did not give an answer."""


class OutOfTime(ModelError):
    """The deadline is too near for another call."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model alias at one gateway. `deadline` is on the monotonic clock: the other one may jump."""

    url: str
    name: str
    key: str
    deadline: float

    @classmethod
    def here(cls) -> Model:
        """Read from the environment of the box."""
        return cls(
            url=os.environ["OPENAI_BASE_URL"].rstrip("/"),
            name=os.environ["RATCHET_MODEL"],
            key=os.environ.get("OPENAI_API_KEY", "placeholder"),
            deadline=time.monotonic() + float(os.environ.get("RATCHET_SECONDS", "inf")),
        )

    @property
    def seconds_left(self) -> float:
        """Seconds until no further call should be begun."""
        return self.deadline - time.monotonic() - MARGIN

    def window(self) -> int | None:
        """The context window in tokens, None where the gateway does not know it."""
        listed = self._request("models", None).get("data", [])
        return next((m.get("context_window") for m in listed if m.get("id") == self.name), None)

    def chat(self, messages: list[dict[str, Any]], **options: object) -> dict[str, Any]:
        """The assistant's message, with the `finish_reason` of the answer. Raises ModelError."""
        answer = self._request("chat/completions", {"model": self.name, "messages": messages, **options})
        choices = answer.get("choices")
        if not choices:
            msg = f"an answer without choices: {json.dumps(answer)[:500]}"
            raise ModelError(msg)
        message: dict[str, Any] = choices[0]["message"]
        return {**message, "finish_reason": choices[0].get("finish_reason")}

    def _request(self, path: str, body: dict[str, object] | None) -> dict[str, Any]:
        if self.seconds_left <= 0:
            msg = "the deadline is too near for another model call"
            raise OutOfTime(msg)
        request = urllib.request.Request(  # noqa: S310 the gateway's own address
            f"{self.url}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"},
        )
        timeout = None if self.deadline == float("inf") else self.seconds_left
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            msg = f"the gateway answered {error.code}: {error.read().decode(errors='replace')[:1000]}"
            raise ModelError(msg) from error
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            msg = f"the gateway gave no answer: {error!r}"
            raise (OutOfTime if self.seconds_left <= 0 else ModelError)(msg) from error
        return answer


def text_of(content: str | list[dict[str, Any]] | None) -> str:
    """The text of a message's content, which some models write as a list of parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content or ""
