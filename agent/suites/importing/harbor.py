"""Harbor: a folder per task with task.toml, instruction.md, environment/Dockerfile and tests/test.sh.

The layout is the one that harborframework.com documents. A test.sh runs as it is, and the reward files that it
writes are read. One of the usual kind, which only installs and runs pytest and writes reward.txt from its exit code,
becomes a run of pytest that is judged by its JUnit report, which is harder to forge.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base import yaml
from agent.base.errors import UserError
from agent.base.types import NO_FILES, Files
from agent.suites.importing import container, copies, shell
from agent.suites.importing.bases import replaced
from agent.suites.importing.compose import Service, one_container
from agent.suites.importing.dockerfile import read_dockerfile
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, task_id
from agent.suites.importing.environment import Environment
from agent.suites.importing.fetching import TEST_TOOLS, Fetched, fetched, plain_name
from agent.suites.importing.folders import TASK, work_folder
from agent.suites.importing.harbor_config import Config, read_config, submitted
from agent.suites.importing.harbor_fates import CONFIG
from agent.suites.importing.harbor_files import VERIFIER, Verifier, kept, verifier_of
from agent.suites.importing.harbor_sources import DATASET, PARTS, REGISTRY, Located, digest_of, tasks_of
from agent.suites.importing.profiles import MACHINE, STRICT, Kind, shared_data, stdlib_only
from agent.suites.importing.reading import folder, scripts, tasks_below, text, toml_file
from agent.suites.importing.stages import merged
from agent.suites.importing.whole import last_workdir, needs_machine, on_a_machine
from agent.suites.rules import SOLVE
from agent.suites.tree import suite_path_fault
from agent.trials.grading import MACHINE_DISK_MB
from sandbox.install import INTERPRETER

SCRIPT, DOCKERFILE = "tests/test.sh", "environment/Dockerfile"
COMPOSE = "environment/docker-compose.yaml"
TRAJECTORY = "trajectory.json"
_DEFAULT_FOLDER = "/app"
_CONTEXT = f".context/{TRAJECTORY}"


class Harbor:
    """One task a folder, anywhere below the source."""

    kind = "harbor"
    about = "Harbor task folders (task.toml)"

    def recognises(self, source: Path) -> bool:
        """By its name, or by the first task.toml that is found."""
        if source.is_file():
            return source.name in {DATASET, REGISTRY}
        return source.is_dir() and next(tasks_below(source, CONFIG), None) is not None

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """Every task, in the order of the source."""
        with tempfile.TemporaryDirectory(prefix="ratchet-import-") as work:
            for place in tasks_of(source, options, Path(work)):
                yield place if isinstance(place, Refusal) else _read(place, options)


def _read(place: Located, options: Options) -> Draft | Refusal:
    # A folder that comes out of git has a number for a name.
    name = task_id(Path(place.inside).name if place.origin else place.root.resolve().name)
    raw = toml_file(place.root / CONFIG)
    try:
        return _task(_parts(place, name, raw), options)
    except Unsupported as reason:
        return Refusal(id=name, origin=place.inside, feature=str(reason))


@dataclass(frozen=True, slots=True)
class _Parts:
    """A task as it is read, once for both profiles."""

    place: Located
    name: str
    raw: Mapping[str, Any]
    files: Mapping[str, bytes]
    config: Config
    digest: str


def _parts(place: Located, name: str, raw: dict[str, Any]) -> _Parts:
    every = folder(place.root, PARTS)
    instruction = every.get("instruction.md", b"").decode(errors="replace")
    files = copies.marked(kept(every), every, instruction)
    digest = digest_of(files)
    if place.digest not in {None, digest}:
        raise Unsupported(f"{DATASET}: its content is not what the digest {place.digest!r:.24} names")
    config = read_config(raw)
    _layout(files, config)
    return _Parts(place, name, raw, files, config, digest)


@dataclass(frozen=True, slots=True)
class _Check:
    """How a task is graded: settings, layers that grading needs, and hidden files of ours."""

    settings: dict[str, Any]
    layers: tuple[str, ...]
    helpers: dict[str, bytes]


def _task(parts: _Parts, options: Options) -> Draft:
    """A task in a strict box or, where it needs more or cannot be in one, in a machine."""
    try:
        draft = _draft(parts, options)
    except Unsupported as refused:
        try:
            return _draft(parts, options, machine=str(refused))
        except Unsupported:
            raise refused from None
    if reason := _reason(parts, draft):
        with suppress(Unsupported):
            return _draft(parts, options, machine=reason)
    return draft


def _reason(parts: _Parts, draft: Draft) -> str | None:
    """Why a task needs a machine, or None. A separate verifier gets artifacts, so it does not see one."""
    files, config, root = dict(parts.files), parts.config, parts.place.root
    if config.separate:
        return None
    if path := next((path for path in draft.files if suite_path_fault(path)), None):
        return f"a starting file {path}"
    if config.image and DOCKERFILE not in files:
        return "only an image is given"
    if path := shared_data(draft.files, draft.tests):
        return f"the tests hold a copy of the starting file {path}"
    dockerfile = text(files, DOCKERFILE, root)
    return needs_machine(
        instruction=draft.instruction,
        tests={path: body for path, body in files.items() if path.startswith("tests/")},
        reference=[body for path, body in files.items() if path.startswith("solution/")],
        dockerfile=dockerfile,
        workdir=config.workdir or last_workdir(dockerfile),
    )


def _draft(parts: _Parts, options: Options, *, machine: str | None = None) -> Draft:
    """The task in a box of the strict profile, or in a machine for the reason given."""
    root, files, config = parts.place.root, dict(parts.files), parts.config
    remarks = [*config.remarks]
    instruction = text(files, "instruction.md", root)
    service = _service(files, root)
    if machine is not None:
        if config.separate:
            raise Unsupported(f"{CONFIG}: verifier.environment_mode: a separate verifier sees no machine")
        remarks = [f"profile machine: {machine}", *on_a_machine(remarks)]
    written = _environment(
        files, config, service, root=root, instruction=instruction, remarks=remarks, machine=machine is not None
    )
    found = container.with_volumes(replaced(written, options), service.volumes, COMPOSE, machine=machine is not None)
    remarks += service.remarks
    volumes = [container.IN_VOLUMES] if service.volumes and not config.separate else []
    tests = {path.removeprefix("tests/"): body for path, body in files.items() if path.startswith("tests/")}
    script = text(files, SCRIPT, root)
    verifier = verifier_of(files, config, root, found.workdir, options)
    kind = STRICT if machine is None else MACHINE
    container.no_hidden_copies(found.baked, tests, DOCKERFILE)
    returning = copies.returning(found.left_out) if verifier is None else {}
    back = copies.put_back(returning, found.workdir, machine=machine is not None) if returning else b""
    remarks += ["tests of which the image would have copies are put back there to grade"] if back else []
    check = _check(script, tests, config, verifier, kind=kind, options=options, remarks=remarks, back=back)
    starting, instruction = _with_context(files, found.files, instruction, remarks)
    if found.workdir == TASK:
        # There /task is the workspace, and a scaffold reads its instruction from /task/instruction.md.
        starting["instruction.md"] = instruction.encode()
    return Draft(
        id=parts.name,
        origin=parts.place.inside,
        instruction=instruction,
        files=starting,
        tests={**tests, **check.helpers} if machine else container.hidden({**tests, **check.helpers}),
        solution=_reference(files) if machine else NO_FILES,
        settings={
            **(
                {"profile": "machine"}
                if machine
                else {"submit": [*submitted(config, found.workdir, remarks), *volumes]}
            ),
            **check.settings,
            **_images(found, verifier, check, options, machine=machine is not None),
            **{key: value for key, value in config.limits.items() if key != "user" or not machine},
            **service.limits,
            **({"disk_mb": max(MACHINE_DISK_MB, config.storage_mb), "solve_as": config.agent_user} if machine else {}),
            "env": {**service.env, **config.env},
            "tags": config.tags,
        },
        meta={"harbor": {**_meta(files, parts, root), "digest": parts.digest, **(parts.place.origin or {})}},
        remarks=tuple(dict.fromkeys([*remarks, *(on_a_machine(found.remarks) if machine else found.remarks)])),
    )


def _reference(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The script that solves a task on its machine, and what lies beside it."""
    found = {path.removeprefix("solution/"): body for path, body in files.items() if path.startswith("solution/")}
    return found if SOLVE in found else {}


def _images(
    found: Environment, verifier: Verifier | None, check: _Check, options: Options, *, machine: bool
) -> dict[str, Any]:
    """Image and layers of both boxes; what grading installs is in the image that grades."""
    if verifier is None:
        return container.surroundings(found, extra=check.layers, options=options, machine=machine)
    grading = container.surroundings(verifier.found, extra=check.layers, options=options)
    solving = container.surroundings(found, extra=(), options=options)
    stages = merged(solving.pop("stages", {}), grading.pop("stages", {}), VERIFIER)
    return {**solving, **{f"check_{name}": value for name, value in grading.items()}, "stages": stages}


def _layout(files: Mapping[str, bytes], config: Config) -> None:
    for path in files:
        place, _, name = path.rpartition("/")
        if place == "tests" and name == "docker-compose.yaml":
            raise Unsupported(f"{path}: several containers")
        if path.startswith("steps/"):
            raise Unsupported("steps/: several steps")
        if path.startswith(f"tests/{container.OURS}/"):
            raise Unsupported(f"{path}: a test file where helpers of ours stand")
    needed = ["instruction.md", SCRIPT] if config.image else ["instruction.md", SCRIPT, DOCKERFILE]
    if missing := next((path for path in needed if path not in files), None):
        raise Unsupported(f"no {missing}")


def _service(files: dict[str, bytes], root: Path) -> Service:
    """What a compose file of one container adds to the image; `files` loses it. Raises Unsupported for several."""
    if files.pop(COMPOSE, None) is None:
        return Service()
    try:
        return one_container(yaml.load(root / COMPOSE), COMPOSE)
    except UserError as error:
        raise Unsupported(f"{COMPOSE}: {error.problem}") from error


def _environment(
    files: dict[str, bytes],
    config: Config,
    service: Service,
    *,
    root: Path,
    instruction: str,
    remarks: list[str],
    machine: bool,
) -> Environment:
    """Image, layers and starting files: from the Dockerfile or, without one, from the prebuilt image."""
    if DOCKERFILE not in files:
        workdir = config.workdir or service.workdir or work_folder({}, instruction) or _DEFAULT_FOLDER
        if not machine:
            remarks.append(f"{config.image}: only an image is given: it may have no files of its own in {workdir}")
        return Environment(image=config.image or "", build=(), workdir=workdir, files={})
    if config.image:
        remarks.append(f"{CONFIG}: environment.docker_image: the image is built from {DOCKERFILE} instead")
    context = {path.removeprefix("environment/"): b for path, b in files.items() if path.startswith("environment/")}
    written = text(files, DOCKERFILE, root)
    there = config.workdir or service.workdir
    if there is None and config.separate and last_workdir(written) == "/":
        there = work_folder(dict.fromkeys(config.artifacts, b""), instruction)
    found = read_dockerfile(written, context, DOCKERFILE, workdir=there, about=instruction, machine=machine)
    if named := copies.asked_for(found.left_out, instruction):
        raise Unsupported(f"{DOCKERFILE}: {named!r:.80} is a copy of a hidden test, and the instruction names it")
    remarks += copies.told(found.left_out, DOCKERFILE)
    if not machine:
        container.no_hidden_paths(found.files, DOCKERFILE)
    return found


def _check(
    script: str,
    tests: Files,
    config: Config,
    verifier: Verifier | None,
    *,
    kind: Kind,
    options: Options,
    remarks: list[str],
    back: bytes,
) -> _Check:
    """By JUnit for a script that only runs pytest over tests that can be counted, else by the script itself."""
    writes = any(b"reward" in one for one in tests.values())
    run = shell.usual_pytest(script, reward=writes, baked=True)
    if not writes:
        told = "pytest's report is the grade" if run else "there is no grade, unless a program of the image writes it"
        remarks.append(f"{SCRIPT} writes no reward: {told}")
    ours = kind.trusts_nothing and stdlib_only(tests)
    if kind.trusts_nothing and not ours:
        remarks.append("tests import packages: they run by the image's own Python, which a solution may change")
    if run is not None and config.reward_range == (0, 1):
        try:
            found = container.pytest_check(run, tests, "tests")
            layers = fetched(script, SCRIPT).layers()
        except Unsupported as reason:
            remarks.append(f"judged by its reward file, not by pytest's report: {reason}")
        else:
            check = [*kind.first(back), *kind.pytest(found["check"], tests, ours=ours)]
            packages = () if ours else (container.PYTEST,)
            settings = {**found, "check": [*_prefix(config.check_env), *check]}
            return _Check(settings, (*layers, *packages), container.going_back(back))
    fetches = fetched(script, SCRIPT)
    if fetches.any:
        remarks.append(f"{SCRIPT} installs: {_installed(fetches)} in the image, so that grading works offline")
    sealed = kind.trusts_nothing and "chmod" in script
    key = _key(tests, options, remarks)
    offline = fetches.any or ours or sealed
    return _as_it_is(fetches, config, key, verifier, kind=kind, ours=ours, offline=offline, back=back)


def _installed(fetches: Fetched) -> str:
    return ", ".join([*fetches.apt, *fetches.pip]) or "nothing but tools"


def _as_it_is(
    fetches: Fetched,
    config: Config,
    key: str,
    verifier: Verifier | None,
    *,
    kind: Kind,
    ours: bool,
    offline: bool,
    back: bytes,
) -> _Check:
    helpers = {f"{container.OURS}/reward.py": container.helper("reward.py"), **container.going_back(back)}
    env = {**config.check_env, **({"RATCHET_PYTHON": INTERPRETER} if ours else {})}
    if offline:
        helpers[f"{container.OURS}/offline.sh"] = container.helper("offline.sh")
        env["BASH_ENV"] = f"{kind.helpers}/offline.sh"
    low, high = config.reward_range
    logs = kind.verifier
    first = f"{shlex.join(kind.first(back))} || exit 1; " if back else ""
    command = (
        f"{_going(verifier)}mkdir -p {logs} && rm -f {logs}/reward.txt {logs}/reward.json; "
        f"{first}bash /{SCRIPT}; "
        f'unset BASH_ENV; {kind.python} -I {kind.helpers}/reward.py {logs} "$0" {low:g} {high:g}'
    )
    settings = {
        "check": [*_prefix(env), "bash", "-c", command, key],
        "reward": "file",
        "reward_path": kind.reward_path,
    }
    tools = not ours and any(plain_name(package) in TEST_TOOLS for package in fetches.pip)
    return _Check(settings, (*fetches.layers(), *((container.PYTEST,) if tools else ())), helpers)


def _going(verifier: Verifier | None) -> str:
    """How the tests come to the directory in which the verifier's image starts."""
    return "" if verifier is None or verifier.start == verifier.found.workdir else f"cd {shlex.quote(verifier.start)}; "


def _prefix(env: Mapping[str, str]) -> list[str]:
    return ["env", *(f"{key}={value}" for key, value in env.items())] if env else []


def _key(tests: Files, options: Options, remarks: list[str]) -> str:
    """The key of the reward in a reward.json; a remark where the tests do not seem to write it."""
    said = b"\n".join(tests.values())
    if b"reward.json" in said and options.reward_key.encode() not in said.replace(b"reward.json", b""):
        remarks.append(f"reward.json: the tests never say {options.reward_key!r}; name its key with --reward-key")
    return options.reward_key


def _with_context(
    files: dict[str, bytes], starting: Files, instruction: str, remarks: list[str]
) -> tuple[dict[str, bytes], str]:
    """A trajectory that the task brings along, as a starting file that the instruction names."""
    if TRAJECTORY not in files:
        return dict(starting), instruction
    remarks.append(f"{TRAJECTORY} is the starting file {_CONTEXT}, which the instruction names")
    said = f"{instruction.rstrip()}\n\nWhat was done before is in `{_CONTEXT}`.\n"
    return {**starting, _CONTEXT: files[TRAJECTORY]}, said


def _meta(files: dict[str, bytes], parts: _Parts, root: Path) -> dict[str, Any]:
    """What has no field: task.toml, and the reference as it is written, by the names below `solution/`."""
    found = scripts(files, [path for path in files if path.startswith("solution/")], root)
    reference = {path.removeprefix("solution/"): said for path, said in found.items()}
    env = {"solution_env": parts.config.solution_env} if parts.config.solution_env else {}
    return {"task.toml": _plain(dict(parts.raw)), "solution": reference, **env}


def _plain(value: Any) -> Any:
    """TOML as JSON and YAML can say it: dates and times as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | bool | int | float) else value.isoformat()
