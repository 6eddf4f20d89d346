"""The `models:` part of campaign.yaml, typed; an unknown key is an error and every key does something."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

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
    "ca_file": ("openai", "anthropic"),
    "prompt_cache": ("anthropic",),
    "drop": ("openai", "anthropic", "embedded"),
    "always": ("openai", "anthropic", "embedded"),
    "extra_body": ("openai", "anthropic", "embedded"),
    "passed": ("openai", "anthropic", "embedded"),
    "max_tokens_field": ("openai",),
    "finish_reason": ("openai",),
    "threads": ("embedded",),
    "slots": ("embedded",),
    "weights": ("embedded",),
    "script": ("scripted",),
    "recording": ("replay",),
}


# What every request needs, and what the gateway itself decides: the key that does the same instead.
_NOT_A_PARAMETER = {
    "model": "set `model`",
    "messages": "the scaffold writes it",
    "system": "the scaffold writes it",
    "tools": "the scaffold writes it",
    "max_tokens": "set `max_output`",
    "max_completion_tokens": "set `max_output`",
    "n": "the scaffold writes it",
}
_DROPPABLE = ("system", "later_system")
"""Names that `drop` knows besides parameters: system messages as a user's text, all or all but the first."""


BEYOND_THE_CALL = frozenset(
    [
        "store",
        "background",
        "previous_response_id",
        "conversation",
        "prompt",
        "service_tier",
        "inference_geo",
        "speed",
        "mcp_servers",
        "container",
        "audio",
        "web_search_options",
        "search_parameters",
        "enable_search",
        "plugins",
        "models",
        "functions",
        "function_call",
        "top_logprobs",
    ]
)
"""Parameters that no box may send, whatever `pass` says: the configuration itself can, with `extra_body`."""


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

    provider: ProviderName = Field(description="who answers: openai, anthropic, embedded, scripted, replay")
    model: str = Field(default="", description="the model's name at the provider")
    base_url: str | None = Field(default=None, description="where the endpoint is; by default the vendor's own")
    api_key_env: str | None = Field(default=None, description="the environment variable that holds the key")
    context_window: Positive | None = Field(
        default=None, description="tokens of prompt and answer together; by default what the server reports"
    )
    max_output: Positive | None = Field(
        default=None, description="most tokens of one answer; by default half the window, or 4096"
    )
    weight: float = Field(default=1.0, gt=0, description="share of the role's calls")
    price: Price | None = Field(default=None, description="dollars per million tokens, in place of the price table's")
    timeout: float = Field(default=300.0, gt=0, description="seconds for one call, all attempts together")
    attempts: Positive = Field(default=6, description="how often a call is tried")
    concurrency: Positive | None = Field(default=None, description="calls in flight at once; by default 16, or `slots`")
    requests_per_minute: Positive | None = Field(default=None, description="rate limit in calls")
    tokens_per_minute: Positive | None = Field(default=None, description="rate limit in tokens")
    prompt_cache: bool | None = Field(
        default=None, description="ask for prompt caching; by default where a conversation with tools makes it pay"
    )
    drop: tuple[str, ...] = Field(
        default=(), description="parameters that this model does not take; `tools.TYPE` leaves out such tools"
    )
    always: dict[str, Any] = Field(
        default={}, alias="set", description="parameters with a fixed value, whatever the scaffold sends"
    )
    extra_body: dict[str, Any] = Field(
        default={}, description="fields merged into every request that the scaffold's dialect has no name for"
    )
    passed: tuple[str, ...] = Field(
        default=(), alias="pass", description="hints, unknown parameters and `anthropic-*` headers to send on"
    )
    names: tuple[str, ...] = Field(
        default=(), description="other names for the role, with `*`, for clients that insist on a model's name"
    )
    ca_file: Path | None = Field(default=None, description="certificates to trust, besides the system's: a PEM file")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        default=None, description="the endpoint's name for the limit of an answer; by default by its address"
    )
    finish_reason: Literal["required", "optional"] = Field(
        default="required", description="optional: this server never says why an answer ended; cut ones pass unnoticed"
    )
    threads: Positive | None = Field(
        default=None, description="threads of the embedded model; by default every core up to 8"
    )
    slots: Positive | None = Field(default=None, description="parallel sequences of the embedded model; by default 8")
    weights: Path | None = Field(default=None, description="another GGUF file for the embedded model")
    script: Path | None = Field(default=None, description="the YAML script that answers")
    recording: Path | None = Field(default=None, description="the recorded campaign whose answers are given again")

    @model_validator(mode="after")
    def _keys_fit_the_provider(self) -> Self:
        for key, providers in _ONLY_FOR.items():
            if key in self.model_fields_set and self.provider not in providers:
                msg = (
                    f"`{_spelled(key)}` does nothing for provider {self.provider}; it is for {' and '.join(providers)}."
                    " Remove it"
                )
                raise ValueError(msg)
        if self.provider in KEY_ENV and not self.model:
            msg = f"provider {self.provider} needs `model`. Add the model's name at the provider"
            raise ValueError(msg)
        if self.provider == "scripted" and self.script is None:
            msg = "provider scripted needs `script`. Add the path of a YAML script"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _parameters_do_something(self) -> Self:
        for key, names in (("drop", self.drop), ("set", self.always), ("extra_body", self.extra_body)):
            for name in names:
                if name in _NOT_A_PARAMETER and not (key == "drop" and name in _DROPPABLE):
                    msg = f"`{key}: {name}` does nothing: {_NOT_A_PARAMETER[name]}. Remove it"
                    raise ValueError(msg)
        for one, other in (("drop", "set"), ("drop", "extra_body"), ("set", "extra_body"), ("drop", "pass")):
            both = self._listed(one) & self._listed(other)
            if both:
                msg = f"`{min(both)}` is in both `{one}` and `{other}`. Keep one"
                raise ValueError(msg)
        if beyond := BEYOND_THE_CALL & set(self.passed):
            msg = f"`pass: {min(beyond)}` does nothing: it reaches beyond the call. Set it with `extra_body`"
            raise ValueError(msg)
        if self.provider == "openai" and any(name.startswith("anthropic-") for name in self.passed):
            msg = "`pass: anthropic-*` does nothing for provider openai; such headers are for anthropic. Remove it"
            raise ValueError(msg)
        return self

    def _listed(self, key: str) -> frozenset[str]:
        return frozenset({"drop": self.drop, "set": self.always, "pass": self.passed}.get(key, self.extra_body))

    def __hash__(self) -> int:
        """Equal for equal models; the parameters are left to equality."""
        return hash((self.provider, self.model, self.base_url, self.api_key_env))

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

    @property
    def endpoint(self) -> ModelConfig:
        """The same model without what differs between roles: roles with equal ones share its limits."""
        return self.model_copy(update={"names": ()})

    def below(self, folder: Path) -> ModelConfig:
        """The same model, with relative paths of files taken from a folder."""
        files = ("script", "weights", "ca_file", "recording")
        paths = {name: folder / path for name in files if (path := getattr(self, name)) is not None}
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
            names=self.names,
        )


def _spelled(field: str) -> str:
    """A field as campaign.yaml spells it."""
    return ModelConfig.model_fields[field].alias or field


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
                msg = f"role {role} has no model. Add one"
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

    def named(self, name: str, roles: Iterable[str]) -> str | None:
        """The first of these roles that lists a model name, for a client that does not know the role's alias."""
        for role in roles:
            patterns = [pattern for model in self.of(role) for pattern in model.names]
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                return role
        return None

    def passed(self, role: str) -> frozenset[str]:
        """What any model of a role passes on, which is therefore part of what a question is."""
        return frozenset(name for model in self.of(role) for name in model.passed)

    def need(self, roles: Iterable[str]) -> None:
        """Say which role is missing before anything is spent.

        Raises:
            UserError: one of the roles has no model.
        """
        for role in roles:
            self.of(role)

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
