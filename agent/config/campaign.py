"""campaign.yaml -> a typed configuration; an unknown key is an error that suggests the right one.

Every key has a safe default. Relative paths are relative to the folder of the file.
"""

from __future__ import annotations

import difflib
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.base import yaml as strictyaml
from agent.base.errors import UserError
from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import BoxSpec, Caps
from agent.config.models import ModelsConfig

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of the file: no unknown keys, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ScaffoldConfig(Section):
    """What is under improvement: any program that keeps the contract of docs/scaffold.md."""

    repo: Path = Field(default=Path(), description="git repository that holds the scaffold")
    base: str = Field(default="HEAD", description="commit to start from: the seed")
    mutable: tuple[str, ...] = Field(default=DEFAULT_MUTABLE, description="paths that may be rewritten")
    include: tuple[str, ...] = Field(
        default=(), description="further paths a box sees, read-only; never put tests here"
    )
    command: tuple[str, ...] = Field(default=("python3", "-P", "-m", "agent.scaffold"), description="run in /workspace")
    image: str | None = Field(default=None, description="base image of the box; null: Ratchet's own")


class SearchConfig(Section):
    """The lenient part."""

    strategy: Literal["thompson", "hgm", "greedy", "dgm"] = Field(
        default="thompson", description="where trials and proposals go; hgm and dgm: as those systems do"
    )
    min_trials: Count = Field(default=40, description="search trials before a candidate may meet the champion")
    growth: Annotated[float, Field(gt=0, lt=1)] = Field(default=0.6, description="room for trials^growth candidates")
    margin: Share = Field(default=0.04, description="how much better its search score must be")
    sureness: Annotated[float, Field(ge=0, le=10)] = Field(default=2.5, description="... and in standard errors")


class GateConfig(Section):
    """Details of the strict part."""

    error: Literal["fdr", "familywise"] = Field(default="fdr", description="what alpha bounds over the campaign")
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = Field(default=None, description="null: .10 fdr, .05 familywise")
    spending: Count = Field(
        default=30, description="candidates over which most of alpha is spread; few for a short campaign"
    )
    effect: Share = Field(default=0.05, description="smaller improvements are given up on as futile")
    max_pairs: Count = Field(default=1500, description="pairs before a test ends without proof")
    same_pairs: Annotated[int, Field(ge=0)] = Field(
        default=4, description="seed against itself before the first proposal"
    )
    runs: Count = Field(default=10, description="pairs of a `gate: better` comparison")
    share: Share = Field(default=0.5, description="no new test once the gate has used this share of all trials")


class BudgetConfig(Section):
    """Hard limits of the whole campaign; null is no limit. At least one of them is needed."""

    hours: Positive | None = 8.0
    tokens: Count | None = None
    dollars: Positive | None = None
    trials: Count | None = None
    commits: Count | None = Field(default=None, description="stop after so many accepted patches")

    @model_validator(mode="after")
    def _bounded(self) -> BudgetConfig:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("every limit is null: the campaign would never end; set one")
        return self


class BoxConfig(Section):
    """The boxes, and what one attempt may use."""

    parallel: Count = Field(default=4, description="trials at a time")
    proposals: Count = Field(default=1, description="proposals at a time")
    memory_mb: Annotated[int, Field(ge=64)] = 512
    cpus: Positive = 1.0
    pids: Annotated[int, Field(ge=16)] = 128
    disk_mb: Annotated[int, Field(ge=8)] = 128
    runtime: str | None = Field(default=None, description="container runtime, e.g. runsc (gVisor)")
    propose_timeout: Positive = Field(default=600.0, description="seconds for one proposal")
    trial_calls: Count | None = Field(default=64, description="model calls in one trial")
    trial_tokens: Count | None = Field(default=200_000, description="tokens in one trial")
    proposal_calls: Count | None = Field(default=128, description="model calls in one proposal")
    proposal_tokens: Count | None = Field(default=2_000_000, description="tokens in one proposal")
    patience_minutes: Positive = Field(default=240.0, description="how long to wait for a failed laboratory")
    stall_minutes: Positive = Field(
        default=20.0,
        description="void what is in flight when nothing finished for so long; never less than a step may take",
    )

    def spec(self, image: str) -> BoxSpec:
        """A box in which a scaffold runs, with a way to the gateway."""
        return BoxSpec(
            image=image,
            gateway=True,
            memory_mb=self.memory_mb,
            cpus=self.cpus,
            pids=self.pids,
            disk_mb=self.disk_mb,
        )

    def trial_caps(self) -> Caps:
        """What one trial may ask of the gateway."""
        return Caps(calls=self.trial_calls, tokens=self.trial_tokens)

    def proposal_caps(self) -> Caps:
        """What one proposal may ask of the gateway."""
        return Caps(calls=self.proposal_calls, tokens=self.proposal_tokens)


class PatchConfig(Section):
    """How much one patch may change; a larger one is refused."""

    max_files: Count = Field(default=64, description="files touched")
    max_file_kb: Count = Field(default=256, description="KiB of one file that it leaves")
    max_kb: Count = Field(default=512, description="KiB of all files that it touches")


class NotifyConfig(Section):
    """Who is told what happens. A notifier that fails is noted and harms nothing."""

    command: tuple[str, ...] = Field(default=(), description="program and arguments; the event comes as JSON on stdin")
    webhook: Annotated[str, Field(pattern=r"^(https?://|\$[A-Za-z_])")] | None = Field(
        default=None, description="URL that gets the event as JSON by POST; $NAME reads it from the environment"
    )
    events: tuple[Literal["commit", "approval", "pause", "resume", "stall", "end"], ...] = Field(
        default=("commit", "approval", "pause", "stall", "end"), description="what is told"
    )


class Config(Section):
    """The whole of campaign.yaml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")] = "campaign"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    suite: Path
    runs: Path = Field(default=Path("runs"), description="folder of the campaigns' records")
    scaffold: ScaffoldConfig = ScaffoldConfig()
    models: ModelsConfig
    search: SearchConfig = SearchConfig()
    gate: Literal["proven", "better"] = "proven"
    gate_options: GateConfig = GateConfig()
    approve: Literal["auto", "human", "flagged"] = Field(
        default="auto",
        description="human: an accepted patch waits for `ratchet approve`; flagged: one with flags does",
    )
    patch: PatchConfig = PatchConfig()
    notify: NotifyConfig = NotifyConfig()
    holdout_runs: Annotated[int, Field(ge=0)] = Field(default=1, description="holdout trials a task, per champion")
    budget: BudgetConfig = BudgetConfig()
    boxes: BoxConfig = BoxConfig()

    @property
    def folder(self) -> Path:
        """Where this campaign keeps its record."""
        return self.runs / self.name


def load_config(path: Path, overrides: dict[str, Any] | None = None) -> Config:
    """The configuration in a file; `overrides` are dotted keys from the command line.

    Raises:
        UserError: names the field and the fix.
    """
    raw = strictyaml.load(path)
    for dotted, value in (overrides or {}).items():
        _set(raw, dotted.split("."), value)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise _explain(path, error) from error
    here = path.parent.resolve()
    scaffold = config.scaffold.model_copy(update={"repo": (here / config.scaffold.repo).resolve()})
    models = config.models.below(here)
    paths = {
        "models": models,
        "suite": (here / config.suite).resolve(),
        "runs": (here / config.runs).resolve(),
        "scaffold": scaffold,
    }
    return config.model_copy(update=paths)


def _set(raw: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        raw = raw.setdefault(part, {})
    raw[parts[-1]] = value


def _explain(path: Path, error: ValidationError) -> UserError:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "file"
    if first["type"] != "extra_forbidden":
        message = first["msg"].removeprefix("Value error, ")
        fix = "Add it." if first["type"] == "missing" else f"Fix it (you wrote {first['input']!r})."
        return UserError(f"{path}: {field}", message[0].lower() + message[1:], fix)
    known = _keys(Config, first["loc"][:-1])
    close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
    fix = f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(known)}."
    return UserError(f"{path}: {field}", "unknown key", fix)


def _keys(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """The keys that may stand at a place of the file; unknown places give none."""
    for part in loc:
        if isinstance(part, int):
            continue
        if part in model.model_fields:
            inner = _model_in(model.model_fields[part].annotation)
        else:  # the name of a user's own role
            inner = next((m for f in model.model_fields.values() if (m := _model_in(f.annotation))), None)
        model = inner or model
    return [*model.model_fields]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((m for a in typing.get_args(annotation) if (m := _model_in(a))), None)
