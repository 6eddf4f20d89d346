"""Configuration -> provider. SDKs and scripts are read only when a configured model needs them."""

from __future__ import annotations

from pathlib import Path

from agent.config.models import ModelConfig
from agent.models.ports import Asides, Learned, Provider, unbooked
from agent.models.redact import Redactor


def build(
    model: ModelConfig, redactor: Redactor, learned: Learned | None = None, asides: Asides = unbooked
) -> Provider:
    """The provider of one model.

    Raises:
        UserError: a script or a recording is missing or wrong.
    """
    from agent.models.providers import local, recorded, replay, scripted, sdk  # noqa: PLC0415 - keeps `agent.config.models` light

    if model.provider == "anthropic":
        return sdk.AnthropicProvider(model, redactor, learned, asides)
    if model.provider == "embedded":
        return local.EmbeddedProvider(model, asides=asides)
    if model.provider == "scripted":
        return scripted.ScriptedProvider(scripted.load(Path(model.script or "")), name=model.name)
    if model.provider == "replay":
        return replay.ReplayProvider(recorded.load(model.recording) if model.recording is not None else None)
    return sdk.OpenAIProvider(model, redactor, learned, asides)
