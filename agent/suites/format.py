"""The native format, written once: what the loader accepts, and what the published JSON Schemas say.

`suite.yaml` holds a name, shared defaults and tasks; a task may also have a folder of its own beside it with a
`task.yaml`. docs/suites.md explains every field; tests hold docs/schema/ to this file.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=6 * 3600, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Text = Annotated[str, Field(min_length=1)]
Tree = dict[str, str] | str
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Section(BaseModel):
    """A part of a file: no unknown keys, and a value is what it looks like."""

    model_config = ConfigDict(extra="forbid", strict=True)


class InFile(Section):
    """Text in a file of its own."""

    file: Annotated[Text, Field(description="path of the text, relative to this YAML file")]


class Defaults(Section):
    """What tasks share; a task's own key wins, whole."""

    submit: list[Text] | None = Field(
        default=None,
        description="globs of what is carried from the solving box to the grading box, relative to /workspace",
    )
    check: list[Text] | Text | None = Field(
        default=None, description="command that grades, as words, or as one text for bash; runs in the grading box"
    )
    prepare: list[Text] | Text | None = Field(
        default=None, description="command that makes /workspace ready; in both boxes, before scaffold and submission"
    )
    collect: list[Text] | Text | None = Field(
        default=None, description="command in the solving box after the scaffold; what it writes can be handed in"
    )
    reward: Literal["junit", "exit", "file"] | None = Field(
        default=None,
        description="junit: all of a known number of tests passed (default); exit: exit code 0; file: a number",
    )
    reward_path: Text | None = Field(
        default=None, description="reward file: where the check writes a number from 0 to 1, or JSON; in /workspace"
    )
    reward_key: Text | None = Field(
        default=None, description="reward file: key of the number in a JSON object; default: reward"
    )
    image: Text | None = Field(
        default=None, description="image of both boxes instead of the campaign's; needs python3 (3.9 or later)"
    )
    build: list[Text] | None = Field(
        default=None,
        description="Dockerfile instructions (RUN, COPY, ENV, ARG, SHELL, WORKDIR) laid on the image, once;"
        " COPY takes starting files",
    )
    stages: dict[Name, list[Text]] | None = Field(
        default=None,
        description="images that COPY --from=NAME in build takes from: instructions, the first one FROM IMAGE",
    )
    check_image: Text | None = Field(
        default=None, description="image of the grading box, where it is another than the solving box's"
    )
    check_build: list[Text] | None = Field(
        default=None, description="instructions laid on the grading box's own image, as in build"
    )
    profile: Literal["strict", "machine"] | None = Field(
        default=None,
        description="strict: only /workspace can be written (default); machine: everything, by root of the box",
    )
    solve_as: Annotated[str, Field(pattern=r"^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,5})$")] | None = Field(
        default=None,
        description="profile machine: user of the image, by name or number, as whom the scaffold and the reference run;"
        " default: root",
    )
    workdir: Text | None = Field(
        default=None, description="folder below /workspace in which the scaffold and the check start"
    )
    solve_timeout: Seconds | None = Field(default=None, description="seconds for solving; default: 120")
    check_timeout: Seconds | None = Field(default=None, description="seconds for grading; default: 30")
    env: dict[str, str] | None = Field(default=None, description="environment of both boxes")
    user: Annotated[int, Field(ge=1, le=65534)] | None = Field(
        default=None, description="user id in both boxes, never root; default: each box has one of its own"
    )
    cpus: Annotated[float, Field(gt=0, le=256, allow_inf_nan=False)] | None = Field(
        default=None, description="cores of both boxes; default: the campaign's for solving, 1 for grading"
    )
    memory_mb: Annotated[int, Field(ge=16, le=262144)] | None = Field(
        default=None, description="memory of both boxes in MiB; default: the campaign's for solving, 512 for grading"
    )
    disk_mb: Annotated[int, Field(ge=16, le=16384)] | None = Field(
        default=None, description="MiB of /workspace in both boxes, in memory; default: the campaign's, 128 for grading"
    )
    network: Literal["none"] | None = Field(default=None, description="boxes have no network; nothing else is offered")
    tags: list[Text] | None = Field(default=None, description="words to find tasks by; never change a score")


class Match(Section):
    """The answer to a task that is a text."""

    exact: list[Text] | Text | None = Field(
        default=None, description="the whole text, without spaces around it; of a list, any one"
    )
    regex: Text | None = Field(default=None, description="Python regular expression that the text holds a match of")
    ignore_case: bool = Field(default=False, description="whether upper and lower case are the same")
    file: Text = Field(default="answer.txt", description="file that holds the answer")


class TaskFile(Defaults):
    """A task.yaml: its folder's name is the id, and `instruction.md`, `files/`, `tests/`, `solution/` are found."""

    id: Name | None = Field(default=None, description="unique in the suite: lower-case letters, digits, . _ -")
    instruction: Text | InFile | None = Field(default=None, description="what is asked, as text or from a file")
    split: Literal["search", "gate", "holdout"] | None = Field(
        default=None, description="default: a stable hash of the id, 2 : 3 : 2"
    )
    files: Tree | None = Field(default=None, description="starting state: path -> text, or a folder's name")
    tests: Tree | None = Field(default=None, description="hidden tests, laid over the workspace for grading only")
    solution: Tree | None = Field(default=None, description="reference solution; is never in a box while solving")
    match: Match | None = Field(
        default=None, description="in place of check, reward and tests: the text that answer.txt must hold"
    )
    junit: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="reward junit: how many tests the reference solution passes"
    )
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="gate tasks only: relative chance to be drawn for a pair; default: 1"
    )
    deterministic: bool | None = Field(
        default=None,
        description="gate tasks only: no chance in it; each test checks that by repeated runs; default: false",
    )
    meta: dict[str, Any] | None = Field(default=None, description="kept as it is; no part of the suite's hash")


class TaskEntry(TaskFile):
    """A task inside suite.yaml."""

    id: Name = Field(description="unique in the suite: lower-case letters, digits, . _ -")
    instruction: Text | InFile = Field(description="what is asked, as text or from a file")


class SuiteFile(Section):
    """A suite.yaml."""

    name: Name = Field(description="name of the suite: lower-case letters, digits, . _ -")
    description: str = Field(default="", description="one line for `ratchet tasks list`")
    defaults: Defaults = Field(default_factory=Defaults, description="what the tasks share")
    tasks: list[TaskEntry] = Field(default_factory=list, description="tasks, beside those with a folder of their own")


SCHEMAS: dict[str, type[Section]] = {"suite": SuiteFile, "task": TaskFile}


def schema(kind: str) -> str:
    """The JSON Schema of suite.yaml (`suite`) or task.yaml (`task`), as it is published in docs/schema/."""
    return json.dumps({"$schema": DIALECT, **SCHEMAS[kind].model_json_schema()}, indent=2) + "\n"
