"""Harbor tasks as people publish them: each shape that was refused, or taken and then broken, with its outcome."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent.base.profile import Profile
from agent.base.types import RewardKind
from agent.cli.app import app
from agent.suites.importing import container, harbor_fates
from agent.suites.importing.draft import Options, Unsupported
from agent.suites.importing.harbor_config import MAX_SECONDS, read_config
from agent.suites.importing.run import Imported, import_suite
from agent.suites.importing.write import NothingTaken
from tests.suites.importing.shapes import HEAD, SEPARATE, TASK, TEMPLATE


def imported(source: Path, **options: Any) -> Imported:
    return import_suite("harbor", source, source.parent / "suite", options=Options(**options))


def in_section(section: str, line: str) -> dict[str, str]:
    if f"[{section}]" in HEAD:
        return {"task.toml": HEAD.replace(f"[{section}]", f"[{section}]\n{line}")}
    return {"task.toml": f"{HEAD}[{section}]\n{line}\n"}


def test_every_field_of_harbors_schema_has_a_fate() -> None:
    schema = harbor_fates.schema()

    def paths(node: dict[str, Any], above: str) -> set[str]:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        found = set().union(*(paths(each, above) for each in node.get("anyOf", [])), set())
        for key, value in node.get("properties", {}).items():
            path = f"{above}{key}"
            found |= {path} | paths(value, f"{path}.")
        return found

    every = paths(schema, "")
    whole = {path for path in every if any(path.startswith(f"{top}.") for top in ("task", "steps", "metadata"))}
    whole |= {path for path in every if any(f".{part}." in path for part in ("healthcheck", "tpu"))}
    assert every - whole <= set(harbor_fates.FATES)
    assert set(harbor_fates.FATES) <= every | {"environment.allow_internet", "verifier.environment.allow_internet"}


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("environment", "allow_internet = true"),
        ("environment", 'network_mode = "public"'),
        ("environment", 'network_mode = "allowlist"\nallowed_hosts = ["pypi.org"]'),
        ("agent", 'network_mode = "public"'),
        ("verifier", 'network_mode = "public"'),
    ],
)
def test_a_network_that_is_allowed_is_a_remark(section: str, line: str, taken: Any) -> None:
    task, remarks = taken(TASK, in_section(section, line))
    assert (task.reward, task.reward_path) == (RewardKind.FILE, ".logs/verifier/reward.json")
    assert any(f"{section}.{line.partition(' ')[0]}: boxes have no network" in remark for remark in remarks)


@pytest.mark.parametrize(
    "config",
    [
        f"artifacts = []\n{HEAD}",
        f"{HEAD}[environment]\n[environment.env]\n[solution]\n[solution.env]\n[metadata]\n",
        f"{HEAD}[environment]\ngpus = 0\nmcp_servers = []\nos = 'Linux'\nallow_internet = false\nmemory_mb = 64\n",
    ],
)
def test_what_is_empty_or_the_default_asks_for_nothing(config: str, taken: Any) -> None:
    _, remarks = taken(TASK, {"task.toml": config})
    assert [remark for remark in remarks if "memory" not in remark] == []


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (f"{HEAD}[environment]\ngpus = 1\n", "environment.gpus"),
        (f"{HEAD}[environment]\ngpu_types = ['T4']\n", "environment.gpu_types"),
        (f"{HEAD}[environment.tpu]\ntype = 'v4'\ntopology = '2x2'\n", "environment.tpu"),
        (f"{HEAD}[environment]\nos = 'windows'\n", "environment.os"),
        (f"{HEAD}[[environment.mcp_servers]]\nname = 'a'\nurl = 'http://a'\n", "environment.mcp_servers"),
        (f"{HEAD}[environment.healthcheck]\ncommand = 'x'\n", "environment.healthcheck"),
        (f"{HEAD}[[verifier.collect]]\ncommand = 'git diff'\n", "verifier.collect"),
        (f"{HEAD}[[steps]]\nname = 'one'\n", "steps"),
        (f"{HEAD}[environment]\nenv = {{KEY = '${{KEY}}'}}\n", "environment.env.KEY takes a variable of the host, KEY"),
        (f"artifacts = [{{source = '/x', service = 'db'}}]\n{HEAD}", "several containers"),
        (f"artifacts = ['/app/../etc']\n{HEAD}", "reaches outside"),
        (f"{HEAD}[environment]\nmemory = 'much'\n", "environment.memory"),
        (f"{HEAD}[environment]\ncpus = 'many'\n", "environment.cpus"),
        (f"{HEAD}[metadata]\nreward_range = [3, 1]\n", "metadata.reward_range"),
        (f"agent = 3\n{HEAD.replace('[agent]', '[solution]')}", "agent"),
    ],
)
def test_what_a_box_does_not_have_is_refused_by_its_name(config: str, reason: str, refused: Any) -> None:
    assert reason in refused(TASK, {"task.toml": config})


def test_a_key_that_harbor_does_not_know_is_kept_with_a_remark(taken: Any) -> None:
    task, remarks = taken(TASK, {"task.toml": f"future = 1\n{HEAD}[environment]\nturbo = true\n"})
    assert {f"task.toml: {key} is unknown to Harbor 1.4; kept in meta" for key in ("future", "environment.turbo")} <= {
        *remarks
    }
    assert task.meta["harbor"]["task.toml"]["environment"]["turbo"] is True


def test_folders_that_the_image_makes_itself_are_replaced_by_links(taken: Any) -> None:
    task, _ = taken(TASK, {"environment/Dockerfile": "FROM a\nWORKDIR /app\nRUN mkdir -p /logs/verifier /tests\n"})
    assert "rm -rf /logs && ln -sfn /workspace/.tests /tests && ln -sfn /workspace/.logs /logs" in task.build[-1]
    assert "find /tests -depth -type d -empty -delete" in task.build[-1]


def test_an_empty_folder_below_the_working_directory_is_carried(taken: Any) -> None:
    made = "FROM a\nWORKDIR /app\nRUN mkdir -p /app/scripts out/$X && mkdir /app/data\nCOPY x data/\n"
    task, remarks = taken(TASK, {"environment/Dockerfile": made, "environment/x": "1"})
    assert set(task.files) == {"scripts/.keep", "data/x"}
    assert any("/app/scripts" in remark for remark in remarks)


@pytest.mark.parametrize("task", [TEMPLATE, SEPARATE])
def test_harbors_own_template_is_judged_by_its_report(task: dict[str, str], taken: Any) -> None:
    found, _ = taken(task, image="own")
    assert (found.reward, found.junit, found.check[-1]) == (RewardKind.JUNIT, 1, "/tests/test_outputs.py")
    assert ("hello.txt" in found.submit) == (task is SEPARATE)
    assert (found.check_timeout, found.solve_timeout) == (600, 600)


@pytest.mark.parametrize("line", ["RUN make /grader", "RUN git clone https://x.org/a", "COPY key.txt /grader/"])
def test_a_separate_verifier_has_an_image_of_its_own(line: str, taken: Any) -> None:
    changes = {"tests/Dockerfile": f"{SEPARATE['tests/Dockerfile']}{line}\n", "tests/key.txt": "secret"}
    task, _ = taken(SEPARATE, changes)
    word = "/grader/key.txt" if "COPY" in line else line
    assert task.check_image == "python:3.12-slim"
    assert any(word in layer for layer in task.check_build)
    assert not any(word in layer for layer in task.build)


@pytest.mark.parametrize("line", ["FROM scratch", "COPY key.txt /app/"])
def test_a_verifier_image_that_cannot_be_made_is_refused(line: str, refused: Any) -> None:
    changes = {"tests/Dockerfile": f"{SEPARATE['tests/Dockerfile']}{line}\n", "tests/key.txt": "secret"}
    assert "tests/Dockerfile" in refused(SEPARATE, changes)


@pytest.mark.parametrize(
    ("user", "solver"), [("'worker'", "worker"), ("1001", "1001"), ("'root'", None), ("0", None), ("''", None)]
)
def test_the_agents_user_solves_in_a_machine(user: str, solver: str | None, taken: Any) -> None:
    config = TASK["task.toml"].replace("[agent]", f"[agent]\nuser = {user}")
    machine, remarks = taken(TASK, {"task.toml": config, "solution/solve.sh": "apt-get install x\n"})
    assert (machine.profile, machine.solve_as) == (Profile.MACHINE, solver)
    assert not any("agent.user" in remark for remark in remarks)


def test_artifacts_of_a_separate_verifier_are_what_is_handed_in(taken: Any) -> None:
    config = SEPARATE["task.toml"].replace(
        '["/app/hello.txt"]', '["/app/out", {source = "log.txt"}, "/logs/artifacts"]'
    )
    task, _ = taken(SEPARATE, {"task.toml": config})
    folder = ".logs/artifacts"
    assert task.submit == (f"{folder}/**", "out", "out/**", "log.txt", "log.txt/**", folder)


def test_an_artifact_outside_of_the_working_directory_is_refused(refused: Any) -> None:
    config = SEPARATE["task.toml"].replace("/app/hello.txt", "/etc/hello")
    assert "'/etc/hello' is outside of the working directory" in refused(SEPARATE, {"task.toml": config})


@pytest.mark.parametrize(
    ("lines", "apt", "pip"),
    [
        ("apt-get update -qq > /dev/null 2>&1\napt-get install -y -qq jq curl\n", "jq", ""),
        ("pip install -q numpy==2.0 pandas && rm -rf /var/lib/apt/lists/*\n", "", "'numpy==2.0' 'pandas'"),
        (
            "if ! command -v uvx; then curl -LsSf https://astral.sh/uv/install.sh | sh; fi\nuvx -w numpy pytest /x\n",
            "",
            "'numpy' 'pytest'",
        ),
        ("uv venv .v\nsource .v/bin/activate\nuv pip install scipy\nuv run python /tests/x.py\n", "", "'scipy'"),
        ("python3 -m pip install --quiet requests\n", "", "'requests'"),
    ],
)
def test_what_a_script_installs_is_baked_into_the_image(lines: str, apt: str, pip: str, taken: Any) -> None:
    script = TASK["tests/test.sh"].replace("#!/bin/bash\n", f"#!/bin/bash\n{lines}")
    task, remarks = taken(TASK, {"tests/test.sh": script})
    built = "\n".join(task.build)
    assert (f"--no-install-recommends {apt}\n" in built) == bool(apt)
    assert (f"pip install --no-cache-dir --break-system-packages {pip} " in built) == bool(pip)
    assert task.check[:2] == ("env", "BASH_ENV=/workspace/.tests/.ratchet/offline.sh")
    assert ".tests/.ratchet/offline.sh" in task.tests
    assert any("so that grading works offline" in remark for remark in remarks)


def test_versions_comments_and_redirections_are_told_apart(taken: Any) -> None:
    lines = "pip install 'numpy>=1.26' \"pandas>2\" > /dev/null 2>&1  # for the tests\n"
    task, _ = taken(TASK, {"tests/test.sh": TASK["tests/test.sh"] + lines})
    assert "'numpy>=1.26' 'pandas>2'" in "\n".join(task.build)


def test_a_compose_file_of_one_container_is_carried(taken: Any, refused: Any) -> None:
    limits = "deploy: {resources: {limits: {cpus: '2', memory: 3G}}}"
    compose = f"services:\n  main:\n    build: .\n    environment: {{MODE: fast}}\n    {limits}\n"
    task, _ = taken(TASK, {"environment/docker-compose.yaml": compose})
    assert (task.cpus, task.memory_mb, dict(task.env)) == (2, 3072, {"MODE": "fast"})
    several = {"environment/docker-compose.yaml": f"{compose}  db:\n    image: postgres\n"}
    assert refused(TASK, several) == "environment/docker-compose.yaml: several containers"
    assert "environment/docker-compose.yaml" in refused(TASK, {"environment/docker-compose.yaml": "a: &b c\nd: *b\n"})


def test_a_task_that_the_loader_would_refuse_is_refused_and_the_others_are_taken(plant: Any, under: Any) -> None:
    git = {"environment/Dockerfile": "FROM a\nWORKDIR /app\nCOPY repo app/.git\n", "environment/repo": "x"}
    artifacts = {"task.toml": TASK["task.toml"].replace("[verifier]", '[verifier]\nenvironment_mode = "separate"')}
    bad = TASK | git | artifacts
    report = imported(plant(under("bad", bad) | under("good", TASK | {"instruction.md": "Another one."})))
    assert [refusal.feature for refusal in report.refused] == ["files: 'app/.git' reaches into .git"]
    assert report.taken == 1


def test_files_in_tmp_are_there_for_the_build_alone(taken: Any) -> None:
    dockerfile = "FROM a\nWORKDIR /solution\nCOPY r.txt Dockerfile /tmp/\nRUN pip install -r /tmp/r.txt\n"
    task, remarks = taken(TASK, {"environment/Dockerfile": dockerfile, "environment/r.txt": "x"})
    assert "base64 -d > /tmp/r.txt" in "\n".join(task.build)
    assert "ln -s /workspace /solution" in task.build[-1]
    assert any("a box starts without them" in remark for remark in remarks)


def test_programs_that_are_baked_can_be_run(taken: Any) -> None:
    files = {"environment/run.sh": "#!/bin/sh\n", "environment/data": "x"}
    task, _ = taken(TASK, files | {"environment/Dockerfile": "FROM a\nWORKDIR /app\nCOPY run.sh data /opt/\n"})
    assert "chmod 755 /opt/run.sh" in "\n".join(task.build)
    assert "chmod 755 /opt/data" not in "\n".join(task.build)


SHAPES = [
    'TEST_DIR="${TEST_DIR:-/tests}"\nmkdir -p /logs/verifier\n',
    "trap 'echo 0 > /logs/verifier/reward.txt' EXIT\n",
    "set -euo pipefail\nRET=$?\n[ $RET -eq 0 ] && echo 1 > /logs/verifier/reward.txt\nexit $RET\n",
    "cd /app && pytest --tb=short /tests/x.py\nif [ $? -eq 0 ]; then echo 1 > /logs/verifier/reward.txt; fi\n",
    "python3 /tests/judge.py\n",
]


@pytest.mark.parametrize("lines", SHAPES)
def test_a_script_runs_as_it_is_whatever_its_form(lines: str, taken: Any) -> None:
    task, _ = taken(TASK, {"tests/test.sh": f"#!/bin/bash\n{lines}", "tests/judge.py": "print('a judge, of 32 bytes')"})
    assert task.reward is RewardKind.FILE
    assert "bash /tests/test.sh; " in task.check[-2]


@pytest.mark.parametrize(("tail", "kind"), [("exit $?\n", RewardKind.JUNIT), ("echo done\n", RewardKind.FILE)])
def test_a_script_that_writes_no_reward_is_told_and_graded_by_pytest_if_it_only_runs_that(
    tail: str, kind: RewardKind, taken: Any
) -> None:
    script = f"#!/bin/bash\nset -e\nuvx -w pytest==8.4.1 pytest /tests/test_outputs.py -rA\n{tail}"
    task, remarks = taken(TEMPLATE, {"tests/test.sh": script})
    assert task.reward is kind
    said = "pytest's report is the grade" if kind is RewardKind.JUNIT else "there is no grade, unless a program"
    assert any(remark.startswith(f"tests/test.sh writes no reward: {said}") for remark in remarks)


@pytest.mark.parametrize(
    "line", ["git clone https://x.org/y", "curl -O https://x.org/y", "npm ci", "pip install -r /tests/r.txt", "uv sync"]
)
def test_a_script_that_fetches_what_cannot_be_baked_in_is_refused(line: str, refused: Any) -> None:
    script = TASK["tests/test.sh"] + line + "\n"
    assert f"tests/test.sh line 4: needs a network ({line:.40})" in refused(TASK, {"tests/test.sh": script})


def test_tests_that_cannot_be_counted_are_judged_by_their_reward_file(taken: Any) -> None:
    skipped = TEMPLATE["tests/test_outputs.py"].replace("def test", "import pytest\n@pytest.mark.skip\ndef test")
    task, remarks = taken(TEMPLATE, {"tests/test_outputs.py": skipped})
    assert task.reward is RewardKind.FILE
    assert any("judged by its reward file" in remark for remark in remarks)


def test_a_prebuilt_image_is_the_image_where_there_is_no_dockerfile(taken: Any) -> None:
    config = f'{HEAD}[environment]\ndocker_image = "org/img:1"\nworkdir = "/srv/work"\n'
    task, remarks = taken(TASK, {"task.toml": config, "environment/Dockerfile": None})
    assert task.image == "org/img:1"
    assert task.profile is Profile.MACHINE
    assert "ln -s /srv/work /workspace" in task.build[-1]
    assert any("only an image is given" in remark for remark in remarks)


def test_a_dockerfile_is_built_even_where_an_image_is_named(taken: Any) -> None:
    task, remarks = taken(TASK, {"task.toml": f'{HEAD}[environment]\ndocker_image = "org/img:1"\n'})
    assert task.image == "python:3.12-slim"
    assert any("environment.docker_image" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("config", "dockerfile", "top"),
    [
        (f'{HEAD}[environment]\nworkdir = "/srv"\n', "FROM a\nWORKDIR /app\n", "/srv"),
        (HEAD, "FROM a\nWORKDIR /\nCOPY x /data/\n", "/data"),
        (HEAD, "FROM a\n", "/box"),
    ],
)
def test_the_working_directory_may_be_named_or_found(config: str, dockerfile: str, top: str, taken: Any) -> None:
    files = {"task.toml": config, "environment/Dockerfile": dockerfile, "environment/x": "1"}
    task, _ = taken(TASK, {**files, "instruction.md": "Write 42 into `/box/answer.txt`, see /proc/stat.\n"})
    assert f"ln -s /workspace {top}" in task.build[-1]


def test_work_in_the_folder_of_the_instruction_keeps_the_instruction_there(taken: Any, refused: Any) -> None:
    task, _ = taken(TASK, {"environment/Dockerfile": "FROM a\nCOPY x /task/\nWORKDIR /task\n", "environment/x": "1"})
    assert task.files == {"x": b"1", "instruction.md": task.instruction.encode()}
    elsewhere = {"environment/Dockerfile": "FROM a\nCOPY x /task/\nWORKDIR /app\n", "environment/x": "1"}
    assert "COPY to /task, which a box fills itself" in refused(TASK, elsewhere)


@pytest.mark.parametrize("folder", ["/proc", "/tests/x", "/dev/shm"])
def test_a_working_directory_that_a_box_fills_itself_is_refused(folder: str, refused: Any) -> None:
    assert f"a working directory {folder}" in refused(TASK, {"environment/Dockerfile": f"FROM a\nWORKDIR {folder}\n"})


def test_files_outside_of_the_working_directory_are_baked_into_the_image(taken: Any) -> None:
    dockerfile = "FROM a\nWORKDIR /app\nCOPY --chown=1:1 conf/ /etc/conf/\nCOPY r.txt .\nRUN pip install -r r.txt\n"
    task, remarks = taken(
        TASK,
        {"environment/Dockerfile": dockerfile, "environment/conf/a b": "x", "environment/r.txt": "numpy\n"},
    )
    assert task.files == {"r.txt": b"numpy\n"}
    built = "\n".join(task.build)
    assert "base64 -d > '/etc/conf/a b'" in built
    assert built.index("base64 -d > /app/r.txt") < built.index("RUN pip install -r r.txt")
    assert "RUN changed the copied file /app/r.txt" in built
    assert any("--chown=1:1" in remark for remark in remarks)


def test_an_environment_takes_the_defaults_of_its_variables(taken: Any) -> None:
    config = f'{HEAD}[environment.env]\nMODE = "${{MODE:-fast}}"\nPLAIN = "a"\n[solution.env]\nHINT = "h"\n'
    config = config.replace("[agent]", '[verifier.env]\nSEED = "${SEED:-7}"\n[agent]')
    task, _ = taken(TASK, {"task.toml": config})
    assert dict(task.env) == {"MODE": "fast", "PLAIN": "a"}
    assert task.check[:2] == ("env", "SEED=7")
    assert task.meta["harbor"]["solution_env"] == {"HINT": "h"}


def test_ignored_files_are_no_tests_and_no_solution(taken: Any) -> None:
    task, _ = taken(
        TASK,
        {
            ".harborignore": "*.log\n/tests/data/\n!tests/keep.log\n",
            "tests/.harborignore": "own.txt\n",
            "tests/a.log": "x",
            "tests/keep.log": "x",
            "tests/own.txt": "x",
            "tests/data/b.txt": "x",
            "solution/c.log": "x",
        },
    )
    assert set(task.tests) == {".tests/test.sh", ".tests/keep.log", ".tests/.ratchet/reward.py"}
    assert set(task.meta["harbor"]["solution"]) == {"solve.sh"}


def test_a_trajectory_is_a_starting_file_that_the_instruction_names(taken: Any) -> None:
    task, remarks = taken(TASK, {"trajectory.json": "{}"})
    assert task.files[".context/trajectory.json"] == b"{}"
    assert "`.context/trajectory.json`" in task.instruction
    assert any("trajectory.json" in remark for remark in remarks)


def test_a_task_without_limits_gets_the_longest_life_of_a_box(taken: Any) -> None:
    task, remarks = taken(TASK, {"task.toml": 'version = "1.0"\n[agent]\nuser = "root"\n'})
    assert (task.solve_timeout, task.check_timeout, task.memory_mb) == (MAX_SECONDS, 600, 8192)
    assert any("agent.timeout_sec" in remark for remark in remarks)
    assert any("agent.user" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("files", "key", "span", "score"),
    [
        ({"reward.txt": "1\n"}, "reward", "0 1", 1),
        ({"reward.txt": "1", "reward.json": "0.25"}, "reward", "0 1", 0.25),
        ({"reward.json": '{"reward": 0.5, "speed": 9}'}, "reward", "0 1", 0.5),
        ({"reward.json": '{"a": 0.5, "b": 1}'}, "b", "0 1", 1),
        ({"reward.json": "30"}, "reward", "-10 90", 0.4),
        ({"reward.json": '{"a": 0.5}'}, "reward", "0 1", None),
        ({"reward.json": "1.5"}, "reward", "0 1", None),
        ({"reward.json": "NaN"}, "reward", "0 1", None),
        ({"reward.json": "true"}, "reward", "0 1", None),
        ({"reward.json": "", "reward.txt": "1"}, "reward", "0 1", None),
        ({"reward.txt": "done"}, "reward", "0 1", None),
        ({}, "reward", "0 1", None),
    ],
)
def test_rewards_are_read_as_harbor_reads_them(
    files: dict[str, str], key: str, span: str, score: float | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    script = Path(container.__file__).with_name("in_box") / "reward.py"
    argv = [sys.executable, "-I", str(script), str(tmp_path), key, *span.split()]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    verdict = tmp_path / "reward.json"
    assert (json.loads(verdict.read_text()) if verdict.exists() else None) == score
    assert said.startswith("reward " if score is not None else "no reward: ")


def test_the_helper_runs_what_a_script_would_fetch(tmp_path: Path) -> None:
    prelude = Path(container.__file__).with_name("in_box") / "offline.sh"
    script = (
        "set -e\napt-get update && apt-get install -y curl\ncurl -LsSf https://astral.sh/uv/install.sh | sh\n"
        'source "$HOME/.local/bin/env"\nuv venv v\nsource v/bin/activate\nuv pip install numpy\npip install x\n'
        "uvx -p 3.13 -w numpy --with=y python3 -c 'print(6 * 7)'\nuv run python3 -c 'print(8)'\n"
        "uvx pytest@8 --ctrf c.json --version\n"
    )
    env = {"BASH_ENV": str(prelude), "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[:2]) == (0, ["42", "8"]), done.stderr
    assert "pytest" in done.stdout


@pytest.mark.parametrize(
    ("start", "option", "own"),
    [
        ("python3 -m pytest", "--ctrf c.json", True),
        ("uvx -w pytest-json-ctrf pytest", "--ctrf=c.json", False),
        ("pytest", "--ctrf c.json", False),
        ("uv run python -m pytest", "--ctrf=c.json", True),
    ],
)
def test_a_report_that_no_plug_in_writes_is_not_asked_of_pytest(
    start: str, option: str, own: bool, tmp_path: Path
) -> None:
    """pytest ended with a wrong usage, so a right solution scored 0. Our own Python has no plug-in for it."""
    (tmp_path / "test_it.py").write_text("def test_it(): assert True\n")
    prelude = Path(container.__file__).with_name("in_box") / "offline.sh"
    env = {"BASH_ENV": str(prelude), "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    env |= {"RATCHET_PYTHON": sys.executable} if own else {}
    argv = ["bash", "-c", f"{start} -o cache_dir=/tmp/none {option} test_it.py -rA"]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("home", [{}, {"HOME": "/nonexistent/home"}])
def test_a_script_that_refuses_unset_variables_runs_offline(home: dict[str, str], tmp_path: Path) -> None:
    """Scripts with set -u ended at the first python3, without a verdict."""
    (tmp_path / "one.py").write_text("print('one')\n")
    script = (
        "set -euo pipefail\npython3 one.py || echo failed\npython3 - two <<'PY'\nimport sys\nprint(sys.argv[1])\nPY\n"
        "echo \"print('three')\" | python3\npytest --version\nuv\nuv run\nuvx\npip install\nuvx -p\napt-get update\n"
        "chmod +x one.py\necho four\n"
    )
    prelude = Path(container.__file__).with_name("in_box") / "offline.sh"
    env = {"BASH_ENV": str(prelude), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", **home}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    said = [word for word in done.stdout.split() if word in {"one", "two", "three", "four", "failed"}]
    assert (done.returncode, said) == (0, ["one", "two", "three", "four"]), done.stderr


def test_a_set_of_which_everything_is_refused_is_said_by_reason_and_count(plant: Any, under: Any) -> None:
    trees: dict[str, str] = {}
    for number in range(3):
        changed = {"tests/test.sh": f"#!/bin/bash\n{'true;' * number}\ngit clone https://x.org/{number}\n"}
        trees |= under(f"net{number}", TASK | changed)
    trees |= under("compose", TASK | {"environment/docker-compose.yaml": "services: {}\n"})
    with pytest.raises(NothingTaken) as error:
        imported(plant(trees))
    assert error.value.reasons == [
        {"reason": "tests/test.sh: needs a network ...", "count": 3},
        {"reason": "environment/docker-compose.yaml: several containers", "count": 1},
    ]


def test_the_command_prints_the_reasons_and_its_exit_code_says_that_nothing_was_taken(plant: Any, under: Any) -> None:
    windows = TASK | {"task.toml": f"{HEAD}[environment]\nos = 'windows'\n"}
    source = plant(under("a", windows) | under("b", windows))
    command = ["tasks", "import", "harbor", str(source), str(source.parent / "suite")]
    done = CliRunner().invoke(app, [*command, "--json"])
    said = json.loads(done.stdout)
    assert said["reasons"] == [{"reason": "task.toml: environment.os: Windows", "count": 2}]
    assert (said["taken"], len(said["refused"]), type(done.exception)) == (0, 2, NothingTaken)
    assert "refused 2 x task.toml: environment.os: Windows" in CliRunner().invoke(app, command).stdout
    some = CliRunner().invoke(app, ["tasks", "import", "harbor", str(plant(under("c", TASK))), *command[4:], "--json"])
    said = json.loads(some.stdout)
    assert (some.exit_code, said["taken"], said["quarantined"]) == (0, 1, {})
    assert [one["count"] for one in said["remarks"]] == [1]


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("${A:-b}")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


@given(st.sampled_from(sorted(harbor_fates.FATES)), VALUES)
def test_any_value_of_any_field_is_read_or_refused(path: str, value: object) -> None:
    config: Any = value
    for key in reversed(path.split(".")):
        config = {key: config}
    try:
        found = read_config(config)
    except Unsupported as reason:
        said = str(reason)
    else:
        assert found.limits["solve_timeout"] <= MAX_SECONDS
        return
    assert "task.toml" in said


@given(st.text(max_size=80))
def test_any_toml_is_read_or_refused(text: str) -> None:
    try:
        config = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    try:
        read_config(config)
    except Unsupported as reason:
        said = str(reason)
    else:
        return
    assert "task.toml" in said
