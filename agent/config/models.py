"""The `models:` part of campaign.yaml, typed; an unknown key is an error and every key does something."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator

from agent.base.errors import UserError

KEY_ENV = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
EMBEDDED_CONTEXT = 2048
EMBEDDED_SLOTS = 8

Positive = Annotated[int, Field(gt=0)]
ProviderName = Literal["openai", "anthropic", "embedded", "scripted", "replay"]

_ONLY_FOR: dict[str, tuple[ProviderName, ...]] = {
    "base_url": ("openai", "anthropic"),
    "api_key_env": ("openai", "anthropic"),
    "prompt_cache": ("anthropic",),
    "max_tokens_field": ("openai",),
    "threads": ("embedded",),
    "slots": ("embedded",),
    "weights": ("embedded",),
    "script": ("scripted",),
}


class Strict(BaseModel):
    """A part of the configuration: frozen, and closed to keys that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(Strict):
    """Dollars per million tokens, in place of the price table's."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)


class ModelConfig(Strict):
    """One model at one provider. Times in seconds; `context_window` and `max_output` in tokens."""

    provider: ProviderName
    model: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    context_window: Positive | None = None
    max_output: Positive | None = None
    weight: float = Field(default=1.0, gt=0)
    price: Price | None = None
    timeout: float = Field(default=300.0, gt=0)
    attempts: Positive = 6
    concurrency: Positive | None = None
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    prompt_cache: bool = False
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    threads: Positive | None = None
    slots: Positive | None = None
    weights: Path | None = None
    script: Path | None = None

    @model_validator(mode="after")
    def _keys_fit_the_provider(self) -> Self:
        for key, providers in _ONLY_FOR.items():
            if key in self.model_fields_set and self.provider not in providers:
                msg = f"`{key}` does nothing for provider {self.provider}; it is for {' and '.join(providers)}"
                raise ValueError(msg)
        if self.provider in KEY_ENV and not self.model:
            msg = f"provider {self.provider} needs `model`: the model's name at the provider"
            raise ValueError(msg)
        if self.provider == "scripted" and self.script is None:
            msg = "provider scripted needs `script`: the path of a YAML script"
            raise ValueError(msg)
        return self

    @property
    def name(self) -> str:
        """The model's name as recorded and shown."""
        return self.model or {"embedded": "SmolLM2-135M-Instruct"}.get(self.provider, self.provider)

    @property
    def window(self) -> int | None:
        """Tokens that prompt and answer may take together, if known."""
        if self.provider == "embedded":
            return self.context_window or EMBEDDED_CONTEXT
        return self.context_window

    @property
    def output_limit(self) -> int:
        """Tokens that one answer may take when the box does not say, and at most."""
        if self.max_output is not None:
            return self.max_output
        return max(1, self.window // 2) if self.window is not None else 4096

    @property
    def limit_field(self) -> str:
        """Where a chat request says how long an answer may be. OpenAI wants the new name, its imitators the old one."""
        if self.max_tokens_field is not None:
            return self.max_tokens_field
        return "max_completion_tokens" if self.provider == "openai" and self.base_url is None else "max_tokens"

    @property
    def parallel(self) -> int:
        """How many calls may be in flight at once; never more than an embedded model has slots."""
        if self.provider == "embedded":
            slots = self.slots or EMBEDDED_SLOTS
            return min(self.concurrency or slots, slots)
        return self.concurrency or 16

    @property
    def key_env(self) -> str | None:
        """The environment variable that holds the key; None if the provider takes none."""
        return self.api_key_env or KEY_ENV.get(self.provider)

    @property
    def key_needed(self) -> bool:
        """Whether a missing key is an error: a local server at a base_url may well take none."""
        return self.provider in KEY_ENV and (self.api_key_env is not None or self.base_url is None)

    def below(self, folder: Path) -> ModelConfig:
        """The same model, with relative paths of files taken from a folder."""
        paths = {name: folder / path for name in ("script", "weights") if (path := getattr(self, name)) is not None}
        return self.model_copy(update=paths)

    def as_replay(self) -> ModelConfig:
        """The same model, answered from a recording and never from the network."""
        return ModelConfig(
            provider="replay",
            model=self.name,
            context_window=self.window,
            max_output=self.output_limit,
            weight=self.weight,
            price=self.price,
        )


class ModelsConfig(RootModel[dict[str, tuple[ModelConfig, ...]]]):
    """Role -> its models. One model or a weighted list in YAML; always a tuple here."""

    model_config = ConfigDict(frozen=True)

    @field_validator("root", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {role: models if isinstance(models, list | tuple) else (models,) for role, models in value.items()}

    @field_validator("root")
    @classmethod
    def _none_empty(cls, value: dict[str, tuple[ModelConfig, ...]]) -> dict[str, tuple[ModelConfig, ...]]:
        for role, models in value.items():
            if not models:
                msg = f"role {role} has no model"
                raise ValueError(msg)
        return value

    @property
    def roles(self) -> tuple[str, ...]:
        """The configured roles, in file order."""
        return tuple(self.root)

    def of(self, role: str) -> tuple[ModelConfig, ...]:
        """The models of a role.

        Raises:
            UserError: no such role.
        """
        if role not in self.root:
            known = ", ".join(self.root) or "none"
            raise UserError("models", f"no role named {role!r}", f"add `models.{role}`, or use one of: {known}")
        return self.root[role]

    def all(self) -> tuple[ModelConfig, ...]:
        """Every distinct model, in file order."""
        return tuple(dict.fromkeys(model for models in self.root.values() for model in models))

    def names(self) -> tuple[str, ...]:
        """`provider/model` of every distinct model, for trailers and reports."""
        return tuple(dict.fromkeys(f"{model.provider}/{model.name}" for model in self.all()))

    def below(self, folder: Path) -> ModelsConfig:
        """The same roles, with relative paths of files taken from a folder."""
        return ModelsConfig({role: tuple(m.below(folder) for m in models) for role, models in self.root.items()})

    def as_replay(self) -> ModelsConfig:
        """The same roles, each answered from a recording."""
        return ModelsConfig({role: tuple(m.as_replay() for m in models) for role, models in self.root.items()})

    def check_keys(self) -> None:
        """Say which key is missing before anything is spent.

        Raises:
            UserError: an environment variable that a provider needs is not set.
        """
        for role, models in self.root.items():
            for model in models:
                if model.key_needed and model.key_env and not os.environ.get(model.key_env):
                    fix = f"export {model.key_env}=..., or name another variable in `api_key_env`"
                    raise UserError(f"models.{role}.api_key_env", f"{model.key_env} is not set", fix)
