"""What servers say of themselves: the models and windows of those on this machine, for people and for requests.

Only loopback is searched, and only the default ports of the usual servers.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.config.models import ModelConfig, ModelsConfig
from agent.models.providers import network

PORTS = {"Ollama": 11434, "vLLM": 8000, "llama.cpp": 8080, "LM Studio": 1234}
_OWNERS = {"library": "Ollama", "vllm": "vLLM", "llamacpp": "llama.cpp", "organization_owner": "LM Studio"}
_WINDOWS = ("max_model_len", "context_window", "context_length", "loaded_context_length", "max_context_length")
_SECONDS = 2.0
_MAX_BYTES = 4 << 20
_SHOWN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A server on this machine, and the models that it offers with their windows in tokens, where known."""

    server: str
    base_url: str
    models: tuple[tuple[str, int | None], ...]

    def block(self) -> str:
        """What to paste into campaign.yaml for the first of its models, the others named beside it."""
        name, window = self.models[0]
        parts = ["provider: openai", f"model: {json.dumps(name)}", f"base_url: {json.dumps(self.base_url)}"]
        parts += [f"context_window: {window}"] if window is not None else []
        parts.append("price: {input: 0, output: 0}")
        others = ", ".join(other for other, _ in self.models[1:_SHOWN])
        lines = [f"models:   # {self.server}" + (f"; it also offers {others}" if others else "")]
        lines += [f"  {role}: {{{', '.join(parts)}}}" for role in ("solver", "improver")]
        return "\n".join(lines)


def local_servers(ports: Mapping[str, int] = PORTS) -> list[Found]:
    """The servers on this machine's default ports that offer a model."""
    with ThreadPoolExecutor(len(ports)) as pool:
        return [found for found in pool.map(_server, ports.items()) if found is not None]


def _server(named: tuple[str, int]) -> Found | None:
    name, port = named
    asked = _Asked(f"http://127.0.0.1:{port}/v1")
    entries = asked.entries()
    if not entries:
        return None
    owner = _OWNERS.get(str(entries[0].get("owned_by")), name)
    models = tuple((str(entry["id"]), asked.window(str(entry["id"]), entries)) for entry in entries)
    return Found(server=owner, base_url=asked.base_url, models=models)


def with_windows(models: ModelsConfig) -> ModelsConfig:
    """The same models, each with the window that its server reports where the configuration names none."""

    def filled(model: ModelConfig) -> ModelConfig:
        if model.context_window is not None or not _own(model):
            return model
        key = os.environ.get(model.key_env or "")
        asked = _Asked(network.base(model.base_url) or "", key=key, ca_file=model.ca_file)
        found = asked.window(model.model, asked.entries())
        return model.model_copy(update={"context_window": found}) if found is not None else model

    distinct = models.all()
    with ThreadPoolExecutor(max(1, len(distinct))) as pool:
        made = dict(zip(distinct, pool.map(filled, distinct), strict=True))
    return ModelsConfig({role: tuple(made[model] for model in models.of(role)) for role in models.roles})


def _own(model: ModelConfig) -> bool:
    """Whether a server is the user's own. What a hosted one reports says nothing of how long an answer may be."""
    url = model.base_url
    if model.provider != "openai" or url is None:
        return False
    return network.is_loopback(url) or urlsplit(url).scheme == "http" or model.ca_file is not None


class _Asked:
    """A server that is asked about itself. What it does not say, or says in an unknown form, is None."""

    def __init__(self, base_url: str, *, key: str | None = None, ca_file: Path | None = None) -> None:
        self.base_url, self._key = base_url, key
        parts = urlsplit(base_url)
        self._root = f"{parts.scheme}://{parts.netloc}"
        handlers: list[urllib.request.BaseHandler] = []
        if network.is_loopback(base_url):
            handlers.append(urllib.request.ProxyHandler({}))
        if parts.scheme == "https":
            handlers.append(urllib.request.HTTPSHandler(context=network.certificates(ca_file)))
        self._opener = urllib.request.build_opener(*handlers)

    def entries(self) -> list[Any]:
        """Its models."""
        said = self._get(f"{self.base_url}/models")
        if said is None and not urlsplit(self.base_url).path:
            said = self._get(f"{self.base_url}/v1/models")
        listed = said.get("data") if isinstance(said, dict) else None
        return [e for e in listed if isinstance(e, dict) and e.get("id")] if isinstance(listed, list) else []

    def window(self, model: str, entries: list[Any]) -> int | None:
        """The window of a model in tokens.

        The model's own entry says it (vLLM), or an address of its own: llama.cpp's `/props` for one slot, Ollama's
        `/api/ps` for a model that is loaded, LM Studio's `/api/v0/models`.
        """
        for entry in entries:
            if entry.get("id") == model and (said := _count(entry)) is not None:
                return said
        return (
            self._props() or self._listed("/api/ps", "models", model) or self._listed("/api/v0/models", "data", model)
        )

    def _props(self) -> int | None:
        said = self._get(f"{self._root}/props")
        settings = said.get("default_generation_settings") if isinstance(said, dict) else None
        return _positive(settings.get("n_ctx")) if isinstance(settings, dict) else None

    def _listed(self, path: str, field: str, model: str) -> int | None:
        said = self._get(f"{self._root}{path}")
        entries = said.get(field) if isinstance(said, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and model in (entry.get("id"), entry.get("name"), entry.get("model")):
                return _count(entry)
        return None

    def _get(self, url: str) -> Any:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the configuration's own address
            with self._opener.open(request, timeout=_SECONDS) as reply:
                return json.loads(reply.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError, http.client.HTTPException):
            return None


def _count(entry: Mapping[str, Any]) -> int | None:
    return next((said for name in _WINDOWS if (said := _positive(entry.get(name))) is not None), None)


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
