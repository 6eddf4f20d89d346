"""Where boxes are: what machines are told, and the extra that a cluster takes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.base.profile import Profile
from agent.base.types import BoxSpec, Split, Suite, Task
from agent.config.campaign import Config
from agent.trials.places import check_engine, orders_of, recipe_of, sandbox_of, sizes_of
from sandbox.docker_sandbox import DockerSandbox
from sandbox.oci.sandbox import OciSandbox

MODELS = {role: {"provider": "scripted", "script": "unused.yaml"} for role in ("solver", "improver")}
WITHOUT_RAY = f"""
import sys
sys.modules["ray"] = None
from agent.base.errors import UserError
from agent.config.campaign import Config
from agent.trials.places import cluster_seats
told = {{"name": "c", "suite": "s", "models": {MODELS}, "executor": {{"kind": "ray"}}}}
try:
    cluster_seats(Config.model_validate(told), None)
except UserError as error:
    print(error)
"""


def config(**sections: object) -> Config:
    return Config.model_validate({"name": "c", "suite": "s", "models": MODELS, **sections})


def test_machines_are_told_the_sizes_of_boxes_and_how_a_candidate_is_built() -> None:
    told = orders_of(
        config(boxes={"memory_mb": 256, "cpus": 0.5, "starved": 0.25}, scaffold={"prepare": ["make"]}), "image", {}
    )
    assert told.spec == BoxSpec(image="image", gateway=True, memory_mb=256, cpus=0.5)
    assert told.recipe is not None
    assert (told.recipe.command, told.recipe.spec.gateway, told.recipe.starved) == (("make",), False, 0.25)


def test_nothing_is_built_unless_the_scaffold_says_how() -> None:
    assert recipe_of(config(), "image") is None


def test_boxes_run_with_an_engine_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    assert isinstance(sandbox_of(config(), tmp_path), DockerSandbox)
    assert isinstance(sandbox_of(config(boxes={"engine": "oci"}), tmp_path), OciSandbox)


def suite_of(profile: Profile) -> Suite:
    task = Task(
        id="t1",
        split=Split.SEARCH,
        instruction="",
        files={},
        submit=("a",),
        tests={},
        check=("true",),
        junit=None,
        profile=profile,
    )
    return Suite(name="s", hash="0", tasks=(task,))


def test_whole_machines_are_refused_before_the_start_where_no_engine_makes_them() -> None:
    check_engine(config(), suite_of(Profile.MACHINE))
    check_engine(config(boxes={"engine": "oci"}), suite_of(Profile.STRICT))
    with pytest.raises(UserError, match=r"boxes\.engine: oci has no boxes for tasks of profile: machine .*t1"):
        check_engine(config(boxes={"engine": "oci"}), suite_of(Profile.MACHINE))


def test_the_nodes_of_a_cluster_have_engines() -> None:
    with pytest.raises(ValueError, match=r"boxes\.engine: oci is for this machine"):
        config(boxes={"engine": "oci"}, executor={"kind": "ray"})


def test_a_cluster_without_the_extra_is_the_users_to_fix() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_RAY], capture_output=True, text=True, check=True)
    fix = "Install the wheel with its extra `ray` (`ratchet docs scale`)."
    assert done.stdout == f"executor.kind: the package `ray` is not installed. {fix}\n"


def test_the_sizes_of_boxes_are_those_that_tasks_ask_for_and_the_campaigns_own() -> None:
    (task,) = suite_of(Profile.STRICT).tasks
    task = replace(task, memory_mb=8192)
    sizes = sizes_of(config(boxes={"memory_mb": 256}), Suite(name="s", hash="h", tasks=(task,)))
    assert {spec.memory_mb for spec in sizes} == {256, 8192}
