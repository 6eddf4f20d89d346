"""campaign.yaml -> a typed configuration; an unknown key is an error that suggests the right one.

Every key has a safe default. Relative paths are relative to the folder of the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from agent.base import yaml
from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import BoxSpec, Caps
from agent.config.control import CommitConfig, NotifyConfig, TripwireConfig
from agent.config.explaining import explain
from agent.config.improve import ImproveConfig
from agent.config.layers import checked_layer
from agent.config.models import ModelsConfig
from agent.config.section import Count, Positive, Section, Share
from agent.config.shipped import suite_path


class ScaffoldConfig(Section):
    """What is improved: any program that keeps the contract of `ratchet docs scaffold`."""

    repo: Path = Field(default=Path(), description="git repository that holds the scaffold")
    base: str = Field(default="HEAD", description="commit to start from, the seed scaffold")
    mutable: tuple[str, ...] = Field(
        default=DEFAULT_MUTABLE, description='paths that patches may change; ".": the whole repository'
    )
    frozen: tuple[str, ...] = Field(
        default=(), description="exceptions from `mutable`; a box does not see them unless `include` names them"
    )
    include: tuple[str, ...] = Field(
        default=(), description="further paths that a box sees, read-only; never put tests here"
    )
    command: tuple[str, ...] = Field(
        default=("/usr/lib/ratchet/python/bin/python3", "-P", "-m", "agent.scaffold"),
        description="command that a box runs in /workspace; the default names the Python that every box has",
    )
    prepare: tuple[str, ...] = Field(
        default=(),
        description="command that builds a candidate once, in a copy of it without network; its result is /scaffold",
    )
    prepare_timeout: Positive = Field(default=300.0, description="seconds for `prepare`")
    sabotage: bool = Field(
        default=True,
        description="start with a trial of the seed whose code is broken on purpose; it must score 0, or what runs is"
        " not the candidate",
    )
    image: str | None = Field(default=None, description="base image of the boxes; null: Ratchet's own")
    build: tuple[Annotated[str, AfterValidator(checked_layer)], ...] = Field(
        default=(),
        description="Dockerfile lines (RUN ..., COPY package.json /) that install the agent on the image; built once,"
        " with a network; COPY takes files of the seed's commit",
    )


class SearchConfig(Section):
    """The lenient part: where trials and proposals go, and who meets the champion."""

    strategy: Literal["pooled", "thompson", "hgm", "greedy", "dgm"] = Field(
        default="pooled",
        description="how trials and proposals are spread over the archive: pooled: by what each patch is worth in all"
        " candidates that hold it; thompson: by each candidate and its descendants; hgm, dgm: as in those systems",
    )
    min_trials: Count = Field(
        default=40,
        description="search trials a candidate needs before a gate test, at most 2 for each search task that counts;"
        " strategy pooled needs half of them",
    )
    shown: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5,
        description="part (above 0, to 1) of the search tasks that improvers see; candidates are judged by the others."
        " 1: show all and judge by all",
    )
    parent_trials: Count = Field(
        default=4, description="search trials a candidate needs before a proposal builds on it, to learn from"
    )
    growth: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.66,
        description="exponent: the archive grows to trials^growth candidates; larger: more of them, fewer trials each",
    )
    margin: Share = Field(
        default=0.04, description="lead over the champion, in score (0 to 1), that a candidate needs for a gate test"
    )
    min_z: Annotated[float, Field(ge=0, le=10)] = Field(
        default=2.5,
        description="the same lead in standard errors, for every strategy but pooled, which needs 3 to 4 over the seed"
        " and 1.65 later; larger: fewer gate tests of lucky candidates",
    )


class GateConfig(Section):
    """Details of the strict part: the gate test."""

    error: Literal["fdr", "familywise"] = Field(
        default="fdr",
        description="what alpha bounds: fdr: the expected share of false commits; familywise: the chance of any",
    )
    alpha: Annotated[float, Field(ge=1e-6, lt=1)] | None = Field(
        default=None,
        description="that bound, a probability, over the whole campaign; null: 0.10 for fdr, 0.05 otherwise",
    )
    spending: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=2,
        description="gate tests over which half of alpha is spread; larger: the first are harder, later ones easier",
    )
    effect: Share = Field(
        default=0.05, description="improvement in score (0 to 1) worth finding; a test gives up on smaller ones"
    )
    objective: Literal["score", "cost", "both"] = Field(
        default="score",
        description="score: accept what scores better; cost: what is proven as good and cheaper; both: either, and the"
        " commit says which",
    )
    not_worse: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.05, description="loss in score (0 to 1) that a cheaper candidate is proven to stay below"
    )
    cost: Literal["tokens", "dollars", "seconds"] = Field(
        default="tokens", description="what cheaper is counted in, a trial: tokens, dollars or seconds"
    )
    saving: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="part (0 to 1) of the cost worth saving; a test gives up on smaller savings"
    )
    max_pairs: Count = Field(
        default=1500,
        description="pairs of trials after which a test ends without proof; under `pooled` it ends earlier, where it"
        " takes several times what its lead should take",
    )
    same_pairs: Annotated[int, Field(ge=0)] = Field(
        default=4,
        description="pairs of the seed against itself before the first proposal, to show unequal load; 0: none",
    )
    runs: Count = Field(default=10, description="pairs of trials of a comparison under `gate: better`")
    share: Share = Field(
        default=0.5, description="share (0 to 1) of all trials that gate tests may use; no new test starts above it"
    )


class BudgetConfig(Section):
    """Hard limits of the whole campaign; null: no limit. Set at least one."""

    hours: Positive | None = Field(default=8.0, description="hours of running time, over all runs of the campaign")
    tokens: Count | None = Field(default=None, description="model tokens, prompt and completion")
    dollars: Positive | None = Field(default=None, description="US dollars for model calls; needs known prices")
    trials: Count | None = Field(default=None, description="trials of all kinds; those in flight then still finish")
    commits: Count | None = Field(default=None, description="accepted patches to stop after")

    @model_validator(mode="after")
    def _bounded(self) -> BudgetConfig:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError("every limit is null, so the campaign would never end. Set one")
        return self


class BoxConfig(Section):
    """The boxes, and what one trial or proposal may use."""

    parallel: Count = Field(default=4, description="trials at a time")
    proposals: Count = Field(default=1, description="proposals at a time")
    memory_mb: Annotated[int, Field(ge=64)] = Field(default=512, description="memory of a box in MiB; there is no swap")
    cpus: Positive = Field(default=1.0, description="processors of a box")
    pids: Annotated[int, Field(ge=16)] = Field(default=128, description="processes and threads of a box")
    disk_mb: Annotated[int, Field(ge=8)] = Field(
        default=128, description="MiB for files in each of /workspace and /tmp"
    )
    engine: Literal["docker", "oci"] = Field(
        default="docker",
        description="docker: a container engine runs the boxes; oci: crun or runc runs them directly, on this machine"
        " and as root, for less processor time (`ratchet docs engines`)",
    )
    runtime: str | None = Field(
        default=None, description="container runtime, for example crun or runsc (gVisor); with engine: oci crun or runc"
    )
    propose_timeout: Positive = Field(default=600.0, description="seconds for one proposal")
    trial_calls: Count | None = Field(default=64, description="model calls in one trial; null: no limit")
    trial_tokens: Count | None = Field(default=200_000, description="model tokens in one trial; null: no limit")
    proposal_calls: Count | None = Field(default=128, description="model calls in one proposal; null: no limit")
    proposal_tokens: Count | None = Field(default=2_000_000, description="model tokens in one proposal; null: no limit")
    patience_minutes: Positive = Field(
        default=240.0, description="minutes to retry after an infrastructure error before the campaign stops"
    )
    starved: Share = Field(
        default=0.5,
        description="part of a run's time that other programs may withhold before its trial is discarded and"
        " retried; 1: never discard, on a machine that you cannot make quieter",
    )
    canary: Annotated[int, Field(ge=0)] = Field(
        default=100, description="trials between two measurements of the seed that tell load from chance; 0: none"
    )
    stall_minutes: Positive = Field(
        default=20.0,
        description="minutes without a result after which work in flight is void; at least what one step may take",
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


def _custom(resources: dict[str, float]) -> dict[str, float]:
    if own := sorted(resources.keys() & {"CPU", "GPU", "memory", "object_store_memory"}):
        raise ValueError(f"{', '.join(own)}: not a custom resource of Ray. A box takes boxes.cpus and boxes.memory_mb")
    return resources


class ExecutorConfig(Section):
    """Where trials run: this machine, or the nodes of a Ray cluster (`ratchet docs scale`)."""

    kind: Literal["local", "ray"] = Field(default="local", description="local: on this machine; ray: on a Ray cluster")
    address: str = Field(default="auto", description="of the cluster's head; auto: the one that runs on this machine")
    resources: Annotated[dict[str, Positive], AfterValidator(_custom)] = Field(
        default={},
        description="custom Ray resources that a box takes of its node, besides `boxes.cpus` and `boxes.memory_mb`",
    )


class ProposalConfig(Section):
    """What a proposal may try on search tasks before it hands in its patch; no statistics use these trials."""

    tries: Annotated[int, Field(ge=0)] = Field(
        default=6, description="trials of its workspace that one proposal may ask for; 0: none"
    )
    try_tokens: Count | None = Field(
        default=400_000, description="model tokens of all these trials of one proposal; null: no limit"
    )


class PatchConfig(Section):
    """How much one patch may change; a larger one is refused."""

    max_files: Count = Field(default=64, description="files that a patch may change")
    max_file_kb: Count = Field(default=256, description="KiB of any one changed file, after the patch")
    max_kb: Count = Field(default=512, description="KiB of all changed files together, after the patch")


class Config(Section):
    """The whole of campaign.yaml."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")] = Field(
        default="campaign", description="names the branch ratchet/<name> and the folder in `runs`"
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(default=0, description="seed of every random choice")
    suite: Path = Field(description="folder of the task suite, or the name of a shipped one")
    runs: Path = Field(default=Path("runs"), description="folder of the campaigns' records")
    scaffold: ScaffoldConfig = ScaffoldConfig()
    improve: ImproveConfig = ImproveConfig()
    models: ModelsConfig
    search: SearchConfig = SearchConfig()
    gate: Literal["proven", "better"] = Field(
        default="proven",
        description="proven: commit only what a test proves better, with bounded error; better: what scores better "
        "in a few pairs, which proves nothing",
    )
    gate_options: GateConfig = GateConfig()
    approve: Literal["auto", "human", "flagged"] = Field(
        default="auto",
        description="human: an accepted patch waits for `ratchet approve`; flagged: it waits if it has flags",
    )
    proposals: ProposalConfig = ProposalConfig()
    patch: PatchConfig = PatchConfig()
    commit: CommitConfig = CommitConfig()
    tripwires: TripwireConfig = TripwireConfig()
    notify: NotifyConfig = NotifyConfig()
    warm_start: Path | None = Field(
        default=None,
        description="folder of an earlier campaign (runs/NAME) whose lessons and best candidates this one begins with",
    )
    holdout_runs: Annotated[int, Field(ge=0)] = Field(
        default=1, description="trials of each holdout task, per champion; for the report only"
    )
    budget: BudgetConfig = BudgetConfig()
    boxes: BoxConfig = BoxConfig()
    executor: ExecutorConfig = ExecutorConfig()

    @model_validator(mode="after")
    def _can_prove(self) -> Config:
        if self.gate != "proven" and self.gate_options.objective != "score":
            raise ValueError(f"gate: {self.gate} compares scores alone; gate_options.objective needs gate: proven")
        return self

    @model_validator(mode="after")
    def _has_engine(self) -> Config:
        if self.boxes.engine == "oci" and self.executor.kind != "local":
            raise ValueError(f"boxes.engine: oci is for this machine; executor.kind: {self.executor.kind} needs docker")
        return self

    @property
    def folder(self) -> Path:
        """Where this campaign keeps its record."""
        return self.runs / self.name


def load_config(path: Path, overrides: dict[str, Any] | None = None) -> Config:
    """The configuration in a file, its paths made absolute; `overrides` are dotted keys from the command line.

    Raises:
        UserError: names the field and the fix.
    """
    config = read_config(path, overrides)
    here = path.parent.resolve()
    scaffold = config.scaffold.model_copy(update={"repo": (here / config.scaffold.repo).resolve()})
    models = config.models.below(here)
    paths = {
        "models": models,
        "suite": suite_path(config.suite, here).resolve(),
        "runs": (here / config.runs).resolve(),
        "warm_start": None if config.warm_start is None else (here / config.warm_start).resolve(),
        "scaffold": scaffold,
    }
    return config.model_copy(update=paths)


def read_config(path: Path, overrides: dict[str, Any] | None = None) -> Config:
    """The same with paths as they are written, relative to the folder of the file. Raises UserError."""
    raw = yaml.load(path)
    for dotted, value in (overrides or {}).items():
        _set(raw, dotted.split("."), value)
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise explain(path, error, raw, Config) from error


def _set(raw: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        raw = raw.setdefault(part, {})
    raw[parts[-1]] = value
