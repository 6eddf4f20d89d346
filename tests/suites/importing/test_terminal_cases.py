"""Terminal-Bench v1 tasks as people publish them: compose files with limits, and keys that only describe."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.suites.importing.compose import one_container
from agent.suites.importing.draft import Options, Unsupported
from agent.suites.importing.run import import_suite
from agent.suites.importing.write import NothingTaken
from agent.suites.loader import load_suite

Trees = dict[str, dict[str, str]]
COMPOSE = "docker-compose.yaml"


@pytest.fixture
def bring(plant: Any, under: Any, formats: Trees) -> Any:
    """Imports the task with lines added to a file; gives the task and its remarks."""

    def run(path: str, old: str, new: str) -> Any:
        files = dict(formats["terminal-bench"])
        assert old in files[path]
        files[path] = files[path].replace(old, new)
        source = plant(under("one", files))
        dest = import_suite("terminal-bench", source, source.parent / "suite", options=Options()).dest
        (task,) = load_suite(dest).tasks
        return task, json.loads((dest / "import.json").read_text())["taken"][0].get("remarks", [])

    return run


def test_keys_that_only_describe_are_kept_in_meta(bring: Any) -> None:
    more = "difficulty: easy\nauthor: a\nenv_name: x\nlanguage: python\ncreated_at: 2025\n"
    task, remarks = bring("task.yaml", "difficulty: easy\n", more)
    assert task.meta["terminal-bench"]["task.yaml"]["env_name"] == "x"
    assert "task.yaml: author is kept in meta" in remarks


def test_a_volume_of_the_host_is_an_empty_folder_that_is_handed_in(bring: Any) -> None:
    logs = "${T_BENCH_TASK_LOGS_PATH}:${T_BENCH_CONTAINER_LOGS_PATH}"
    mounted = f"    volumes:\n      - {logs}\n      - ${{T_BENCH_TASK_LOGS_PATH}}/../all:/shared\n"
    task, remarks = bring(COMPOSE, "    volumes:\n", mounted)
    assert task.files[".volumes/shared/.keep"] == b""
    assert ".volumes/**" in task.submit
    assert any("/shared is an empty folder" in remark for remark in remarks)


def test_a_task_without_an_instruction_is_one_refusal_among_the_others(plant: Any, under: Any, formats: Trees) -> None:
    """People keep a template for new tasks beside their tasks."""
    template = formats["terminal-bench"] | {"task.yaml": "author_name: me\n"}
    source = plant(under("one", formats["terminal-bench"]) | under("template", template))
    done = import_suite("terminal-bench", source, source.parent / "suite", options=Options())
    assert [(refusal.id, refusal.feature) for refusal in done.refused] == [("template", "task.yaml: no instruction")]
    assert done.taken == 1


def test_the_base_description_is_the_instruction(bring: Any, formats: Trees) -> None:
    said = formats["terminal-bench"]["task.yaml"].partition("author_name")[0]
    task, _ = bring("task.yaml", said, "descriptions:\n  - key: base\n    description: Count the words.\n  - key: x\n")
    assert task.instruction.strip() == "Count the words."


def test_limits_environment_and_working_directory_of_the_container_are_carried(bring: Any) -> None:
    lines = (
        "    deploy:\n      resources:\n        limits:\n          cpus: '2'\n          memory: 1.5G\n    tty: true\n"
    )
    lines += "    working_dir: /app\n"
    task, _ = bring(COMPOSE, "    volumes:\n", f"{lines}    volumes:\n")
    assert (task.cpus, task.memory_mb) == (2, 1536)
    task_env = {"MODE": "fast", "N": "3"}
    compose = {"services": {"client": {"environment": ["MODE=fast", "N=${N:-3}", "TEST_DIR=${T_BENCH_TEST_DIR}"]}}}
    assert one_container(compose, COMPOSE).env == task_env
    compose["services"]["client"]["environment"] = {"MODE": "fast", "N": 3}  # type: ignore[assignment]
    assert one_container(compose, COMPOSE).env == task_env


def test_packages_that_the_tests_need_are_in_the_image(bring: Any) -> None:
    lines = "#!/bin/bash\nuv init\nuv add pytest numpy==2.0\nuv run pytest $TEST_DIR/test_outputs.py\n"
    old = "#!/bin/bash\nsource $TEST_DIR/setup-uv-pytest.sh\nbash $TEST_DIR/run-uv-pytest.sh\n"
    task, _ = bring("run-tests.sh", old, lines)
    assert "--break-system-packages 'pytest' 'numpy==2.0'" in "\n".join(task.build)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    volumes:\n", "    deploy: {mode: global}\n    volumes:\n", "services.client.deploy"),
        ("    environment:\n", "    environment:\n      - KEY=${KEY}\n", "KEY takes a variable of the host"),
        ("    volumes:\n", "    cpus: many\n    volumes:\n", "'many' is not a number"),
        ("    volumes:\n", "    mem_limit: much\n    volumes:\n", "'much' is not a size"),
        ("    volumes:\n", "    volumes:\n      - /etc:/etc\n", "volumes: '/etc:/etc'"),
    ],
)
def test_what_a_box_does_not_have_is_refused(old: str, new: str, reason: str, bring: Any) -> None:
    with pytest.raises(NothingTaken) as error:
        bring(COMPOSE, old, new)
    assert reason in error.value.refusals[0].feature


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


@given(st.sampled_from(["environment", "deploy", "volumes", "working_dir", "cpus", "mem_limit", "build"]), VALUES)
def test_any_container_is_read_or_refused(key: str, value: object) -> None:
    try:
        found = one_container({"services": {"client": {key: value}}}, COMPOSE)
    except Unsupported as reason:
        said = str(reason)
    else:
        said = COMPOSE if all(isinstance(text, str) for text in found.env.values()) else ""
    assert said.startswith(COMPOSE)
