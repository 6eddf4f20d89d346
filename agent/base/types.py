"""The nouns of Ratchet: frozen dataclasses, and one Protocol for each seam.

Nothing here does anything. A module that needs a neighbour names the Protocol; `agent.wiring` alone
chooses the implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

from agent.base.profile import Machine, Profile
from agent.base.refusal import Refusal
from agent.base.tools import Tools
from agent.base.usage import Usage

Files = Mapping[str, bytes]
"""Relative POSIX path -> content; of a file that may be executed, an `Executable`.

Regular files only; a path never starts with `/` or holds `..`.
"""

NO_FILES: Files = MappingProxyType({})

GATEWAY_URL = "http://127.0.0.1:8080"
"""Where a box with a gateway finds it: the base URL for Anthropic, and with `/v1` for OpenAI."""


# ------------------------------------------------------------------------------------ suites


class Split(StrEnum):
    """Three disjoint splits: what the improver sees, what the gate decides on, what is only reported."""

    SEARCH = "search"
    GATE = "gate"
    HOLDOUT = "holdout"


class RewardKind(StrEnum):
    """How the process that checks a submission reports its verdict."""

    JUNIT = "junit"
    EXIT = "exit"
    FILE = "file"


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task of a suite. Times are in seconds, memory in MiB.

    `image`, `user`, `memory_mb`, `disk_mb` and `cpus` hold for the solving and the grading box; None leaves the choice
    to the campaign (solving) and to BoxSpec (grading). `workdir` is relative to /workspace. A `deterministic` task
    is said to give one scaffold the same score every time; the gate checks that. `prepare` runs in both boxes before
    anything else, `collect` in the solving box after the scaffold. `stages` are images that `build` copies from, each
    as instructions of which the first is FROM. `check_image` and `check_build` are the grading
    box's, in place of `image` and `build`. A task of profile `machine` without `submit` hands in the whole machine; its
    `tests` are then below /tests, and its `solution` is a script, `solve.sh`, with what it needs;
    scaffold and script run as the image's user `solve_as`, or as root.
    """

    id: str
    split: Split
    instruction: str
    files: Files
    submit: tuple[str, ...]
    tests: Files
    check: tuple[str, ...]
    prepare: tuple[str, ...] = ()
    collect: tuple[str, ...] = ()
    reward: RewardKind = RewardKind.JUNIT
    reward_path: str | None = None
    reward_key: str = "reward"
    junit: int | None = None
    solution: Files = field(default_factory=lambda: NO_FILES)
    image: str | None = None
    build: tuple[str, ...] = ()
    check_image: str | None = None
    check_build: tuple[str, ...] = ()
    workdir: str = ""
    solve_timeout: float = 120.0
    check_timeout: float = 30.0
    user: int | None = None
    memory_mb: int | None = None
    disk_mb: int | None = None
    cpus: float | None = None
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    weight: float = 1.0
    deterministic: bool = False
    tags: tuple[str, ...] = ()
    meta: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    profile: Profile = Profile.STRICT
    solve_as: str | None = None
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def whole(self) -> bool:
        """Whether the whole machine is handed in."""
        return self.profile is Profile.MACHINE and not self.submit


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """A folder of tasks; `hash` is over everything that can change a score, tasks in quarantine left out."""

    name: str
    hash: str
    tasks: tuple[Task, ...]
    description: str = ""
    quarantined: tuple[str, ...] = ()

    def split(self, split: Split) -> tuple[Task, ...]:
        """The tasks of one split, in file order."""
        return tuple(t for t in self.tasks if t.split == split)


# ------------------------------------------------------------------------------------ sandbox


class Ending(StrEnum):
    """How a command in a box ended. Every one of these can be the candidate's doing, so none is a void."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    MEMORY = "out of memory"
    KILLED = "box killed from inside"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """One command in a box. `output` is stdout and stderr together, bounded; exit 0 alone proves nothing.

    `orphans` counts the processes that outlived the process which started them. `pressure` is for how many of the
    `seconds` programs outside of every box withheld the processor time that a box asks for.
    """

    ending: Ending
    exit_code: int | None
    output: bytes
    truncated: bool
    seconds: float
    orphans: int = 0
    pressure: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class BoxSpec:
    """What kind of box. Boxes of equal spec are interchangeable, so a pool can start them ahead of need.

    `gateway` False means that the box has no way to any model (grading). Sizes in MiB. `user` is a user id, never 0;
    None gives each box one of its own, so that boxes do not share what the kernel limits per user. Of a `machine` root
    of a user namespace may change everything; its `disk_mb` and `memory_mb` are beyond what the image itself takes.
    """

    image: str
    gateway: bool
    memory_mb: int = 512
    cpus: float = 1.0
    pids: int = 128
    disk_mb: int = 128
    user: int | None = None
    machine: bool = False


class Box(Machine, Protocol):
    """One hardened container, used once. Every method raises InfrastructureError when the infrastructure failed."""

    @property
    def id(self) -> str:
        """A name that is unique over all boxes of this machine."""

    @property
    def socket(self) -> Path | None:
        """Host path at which the gateway must listen for this box; None without a gateway."""

    async def put(self, files: Files, root: str) -> None:
        """Put files below `root`: `/workspace` (writable), `/scaffold`, `/task`, `/tests` (read-only)."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout: float,
        output_limit: int = 1 << 20,
        more: Callable[[], float] | None = None,
        heard: Callable[[bytes], None] | None = None,
    ) -> RunResult:
        """Run one command in `/workspace` and wait for it, `timeout` seconds at most; then kill all it left.

        `more` is asked when the time is up: the seconds, counted from the start, that the command may run beyond
        `timeout`. It never decreases. `heard` gets the output as it comes, its end beyond half of `output_limit` last.
        """

    async def take(
        self,
        globs: Sequence[str],
        *,
        without: Sequence[str] = (),
        max_files: int = 256,
        max_bytes: int = 4 << 20,
        root: str = "/workspace",
    ) -> Files:
        """Regular files below `root` that match a glob (`**` crosses folders).

        What matches `without` is left out; if it is a folder, with all below it.

        Raises:
            CandidateFault: too many files or bytes, or a matching path is not a plain file.
        """

    async def names(self, *, without: Sequence[str] = (), most: int = 1000) -> tuple[str, ...]:
        """Paths below `/workspace`; a folder that matches `without` is one, ended by `/`. Raises CandidateFault."""

    async def close(self) -> None:
        """Destroy the box. Never raises for a box that is already gone."""


class Sandbox(Protocol):
    """Where boxes come from: Docker, or the in-memory fake."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def open(self, spec: BoxSpec) -> Box:
        """A fresh box, from the pool if one waits there. Raises SandboxDown."""

    def expect(self, spec: BoxSpec) -> AbstractContextManager[None]:
        """While this is entered, a box of this kind is made ahead for an `open` that follows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grade:
    """The verdict on one submission: score in [0, 1], the reason in a few words, and how long the check ran."""

    score: float
    reason: str
    output: str = ""
    seconds: float = field(default=0.0, compare=False)


# ------------------------------------------------------------------------------------ models


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """Hard limits on model use; None: no limit. Money in US dollars, time in seconds."""

    calls: int | None = None
    tokens: int | None = None
    dollars: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallScope:
    """What one box may do at the gateway, and under which name its calls are recorded.

    `models` maps the alias that the box may name to a role of the configuration. `answer_scope` names the scope in
    which the k-th occurrence of an identical request gets the recorded answer; None never shares. `deadline` is on
    the monotonic clock, in seconds. `tools` are what else the box may ask for; None: nothing.
    """

    trial: str
    models: Mapping[str, str]
    answer_scope: str | None = None
    caps: Caps = Caps()
    deadline: float | None = None
    tools: Tools | None = None


# One answered call as the ledger keeps it; requests and responses are canonical JSON bytes.
@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One model call. `key` is the hash of the canonical request, `k` its occurrence within `answer_scope`.

    `cache_read` and `cache_write` are the input tokens that came from and went into the provider's prompt cache,
    `saved` the dollars that this saved (negative where writing cost more). `left_out` names what was not sent of the
    request.
    """

    trial: str
    role: str
    model: str
    key: str
    k: int
    answer_scope: str | None
    fresh: bool
    request: bytes
    response: bytes
    status: int
    tokens_in: int
    tokens_out: int
    dollars: float | None
    seconds: float
    retries: int
    cache_read: int = 0
    cache_write: int = 0
    saved: float = 0.0
    left_out: tuple[str, ...] = ()


class CallRecord(Protocol):
    """Where the gateway writes calls before their answers are relied on, and reads answer scopes."""

    def record_call(self, call: Call) -> None:
        """Keep one call: it outlives this process, and a power cut once `kept` has returned. Raises RecordBroken."""

    async def kept(self) -> None:
        """Wait until every call that was recorded before is on the disk. Raises RecordBroken."""

    def record_refusal(self, refusal: Refusal) -> None:
        """Keep a refused call, or how often it came again. Raises RecordBroken."""

    def recall(self, answer_scope: str, key: str, k: int) -> Call | None:
        """The recorded call for the k-th occurrence of a request in an answer scope, if there is one."""


# ------------------------------------------------------------------------------------ candidates


class Purpose(StrEnum):
    """What a trial was made for. A search, gate or holdout trial never replaces one of another purpose.

    An improver asked for a DRY one, of a tree that was no candidate yet; it is recorded under the parent, and no
    statistics use it.
    """

    SAME = "same"
    CANARY = "canary"
    SEARCH = "search"
    SHOWN = "shown"
    """On a search task that improvers may see; candidates are judged by the others."""
    GATE = "gate"
    PARTS = "parts"
    """Of an accepted candidate with one of its patches left out."""
    HOLDOUT = "holdout"
    EVAL = "eval"
    DRY = "dry"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One run of one scaffold on one task with one seed; score in [0, 1]; void trials are never stored as Trial."""

    id: str
    tree: str
    task: str
    purpose: Purpose
    seed: int
    score: float
    reason: str
    transcript: str
    usage: Usage
    seconds: float


class Side(StrEnum):
    """On which side of a pair the infrastructure failed: whose model calls were under way, if it was a provider."""

    CHAMPION = "champion"
    CANDIDATE = "candidate"
    BOTH = "both"


class Fate(StrEnum):
    """Where a candidate stands."""

    OPEN = "open"
    WAITING = "waiting"
    REFUSED = "refused"
    REJECTED = "rejected"
    CHAMPION = "accepted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A git tree that differs from its parent by one patch. Id 0 is the seed; refused ones have no tree."""

    id: int
    parent: int | None
    tree: str | None
    subject: str
    body: str
    fate: Fate
    reason: str
    size: int = 0
