"""Terminal-Bench v1: a folder per task with task.yaml, Dockerfile, run-tests.sh, tests/ and solution.sh.

Its verdict is what pytest says about `tests/`, read from the terminal. Here pytest runs by itself and is judged by
its JUnit report, for tasks whose run-tests.sh only installs and runs pytest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.base import yaml
from agent.base.types import NO_FILES
from agent.suites.importing import compose, container, shell
from agent.suites.importing.bases import replaced
from agent.suites.importing.dockerfile import read_dockerfile
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, task_id
from agent.suites.importing.fetching import fetched
from agent.suites.importing.profiles import MACHINE, stdlib_only
from agent.suites.importing.reading import folder, need_text, scripts, tasks_below, text, texts
from agent.suites.importing.whole import last_workdir, needs_machine, on_a_machine
from agent.suites.rules import SOLVE

CONFIG, SCRIPT, DOCKERFILE, COMPOSE = "task.yaml", "run-tests.sh", "Dockerfile", "docker-compose.yaml"
_KNOWN = frozenset(
    {"instruction", "author_name", "author_email", "difficulty", "category", "tags", "parser_name"}
    | {"max_agent_timeout_sec", "descriptions", "max_test_timeout_sec", "run_tests_in_same_shell", "disable_asciinema"}
    | {"estimated_duration_sec", "expert_time_estimate_min", "junior_time_estimate_min"}
)
_ACTS = re.compile(
    r"image|command|service|volume|port|setup|network|mount|gpu|script|entrypoint|docker|_tests?$|^tests?_"
)
"""What a key is called that may change how a task runs."""

_OTHERS = frozenset({CONFIG, SCRIPT, DOCKERFILE, COMPOSE, "solution.sh", "solution.yaml"})
_SOLUTIONS = ("solution.sh", "solution.yaml")
_DEFAULT_RUN = "source $TEST_DIR/setup-uv-pytest.sh\nbash $TEST_DIR/run-uv-pytest.sh\n"
_AGENT_SECONDS, _TEST_SECONDS = 360.0, 60.0


class TerminalBench:
    """One task a folder, anywhere below the source."""

    kind = "terminal-bench"
    about = "Terminal-Bench v1 task folders (task.yaml with an instruction, and a Dockerfile)"

    def recognises(self, source: Path) -> bool:
        """By the first task.yaml that stands beside a Dockerfile."""
        first = next(tasks_below(source, CONFIG), None) if source.is_dir() else None
        return first is not None and (first / DOCKERFILE).is_file()

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """Every task, in the order of their paths."""
        for root in tasks_below(source, CONFIG):
            inside = root.relative_to(source).as_posix()
            name = task_id(root.resolve().name)
            config = yaml.load(root / CONFIG)
            try:
                yield _task(root, name, inside, config, options)
            except Unsupported as reason:
                yield Refusal(id=name, origin=inside, feature=str(reason))


def _task(root: Path, name: str, origin: str, config: dict[str, Any], options: Options) -> Draft:
    """A task in a strict box or, where it needs more or cannot be in one, in a machine."""
    files = folder(root)
    written = files.get(DOCKERFILE, b"").decode(errors="replace")
    reason = needs_machine(
        instruction=str(config.get("instruction", "")),
        tests={path: body for path, body in files.items() if path.startswith("tests/")},
        reference=[files[path] for path in _SOLUTIONS if path in files],
        dockerfile=written,
        workdir=last_workdir(written),
    )
    try:
        draft = _draft(root, name, origin, config, options)
    except Unsupported as refused:
        try:
            return _draft(root, name, origin, config, options, machine=str(refused))
        except Unsupported:
            raise refused from None
    if reason is None:
        return draft
    with suppress(Unsupported):
        return _draft(root, name, origin, config, options, machine=reason)
    return draft


def _draft(
    root: Path, name: str, origin: str, config: dict[str, Any], options: Options, *, machine: str | None = None
) -> Draft:
    """The task in a box of the strict profile, or in a machine for the reason given."""
    where = str(root / CONFIG)
    remarks = _descriptive(config)
    if config.get("parser_name", "pytest") != "pytest":
        raise Unsupported(f"{CONFIG}: parser_name = {config['parser_name']!r:.40}")
    if config.get("run_tests_in_same_shell"):
        raise Unsupported(f"{CONFIG}: run_tests_in_same_shell")
    instruction = _instruction(config, where)
    files = folder(root)
    if DOCKERFILE not in files:
        raise Unsupported(f"no {DOCKERFILE}")
    service = compose.one_container(yaml.load(root / COMPOSE), COMPOSE) if COMPOSE in files else compose.Service()
    context = {path: body for path, body in files.items() if path not in _OTHERS and not path.startswith("tests/")}
    written = text(files, DOCKERFILE, root)
    there, whole = service.workdir, machine is not None
    read = read_dockerfile(written, context, DOCKERFILE, workdir=there, about=instruction, machine=whole)
    found = container.with_volumes(replaced(read, options), service.volumes, COMPOSE, machine=whole)
    volumes = [container.IN_VOLUMES] if service.volumes else []
    tests = {path.removeprefix("tests/"): body for path, body in files.items() if path.startswith("tests/")}
    script = text(files, SCRIPT, root) if SCRIPT in files else _DEFAULT_RUN
    run = shell.usual_pytest(script, reward=False, baked=True)
    if run is None:
        shell.refuse_network(script, SCRIPT)
        raise Unsupported(f"{SCRIPT}: does more than to install and run pytest")
    ours = machine is not None and stdlib_only(tests)
    layers = (*fetched(script, SCRIPT).layers(), *(() if ours else (container.PYTEST,)))
    check = container.pytest_check(run, tests, "tests")
    container.no_hidden_copies(found.baked, tests, DOCKERFILE)
    if machine is None:
        container.no_hidden_paths(found.files, DOCKERFILE)
    else:
        remarks.append(f"profile machine: {machine}")
    return Draft(
        id=name,
        origin=origin,
        instruction=instruction,
        files=found.files,
        tests=tests if machine else container.hidden(tests),
        solution=_reference(files) if machine else NO_FILES,
        settings={
            **({"profile": "machine"} if machine else {"submit": [*container.SUBMIT, *volumes]}),
            **check,
            **({"check": MACHINE.pytest(check["check"], tests, ours=ours)} if machine else {}),
            **container.surroundings(found, extra=layers, options=options, machine=machine is not None),
            "solve_timeout": config.get("max_agent_timeout_sec", _AGENT_SECONDS),
            "check_timeout": config.get("max_test_timeout_sec", _TEST_SECONDS),
            "env": {**service.env, "TEST_DIR": "/tests", "T_BENCH_TEST_DIR": "/tests"},
            **service.limits,
            "tags": [word for word in texts(config, "tags", where) if word.strip()],
        },
        meta={
            "terminal-bench": {
                "task.yaml": {key: value for key, value in config.items() if key != "instruction"},
                "solution": scripts(files, [path for path in _SOLUTIONS if path in files], root),
            }
        },
        remarks=(*remarks, *service.remarks, *(on_a_machine(found.remarks) if machine else found.remarks)),
    )


def _reference(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The script that solves a task on its machine."""
    return {SOLVE: files["solution.sh"]} if "solution.sh" in files else {}


def _descriptive(config: Mapping[str, Any]) -> list[str]:
    """Remarks on keys that only describe a task. Raises Unsupported for one that may change how it runs."""
    unknown = sorted(str(key) for key in set(config) - _KNOWN)
    if acting := next((key for key in unknown if _ACTS.search(key)), None):
        raise Unsupported(f"{CONFIG}: {acting}")
    return [f"{CONFIG}: {key} is kept in meta" for key in unknown]


def _instruction(config: Mapping[str, Any], where: str) -> str:
    """What is asked: `instruction`, or the one of the older `descriptions` that Terminal-Bench takes, `base`."""
    said = config.get("descriptions")
    if not config.get("instruction") and isinstance(said, list):
        base = next((one for one in said if isinstance(one, dict) and one.get("key") == "base"), None)
        if base is None:
            raise Unsupported(f"{CONFIG}: descriptions: none is called base")
        return need_text(base, "description", f"{where}: descriptions")
    if "instruction" not in config:
        raise Unsupported(f"{CONFIG}: no instruction")
    return need_text(dict(config), "instruction", where)
