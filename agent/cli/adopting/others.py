"""Agents in JavaScript, TypeScript, Go, Rust and shell."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

from agent.cli.adopting.source import Found, Source, is_aside, table, top_of
from agent.config.recipes import load_recipe

_GO = "RUN apt-get update && apt-get install -y --no-install-recommends golang-go && rm -rf /var/lib/apt/lists/*"
_DEBIANS_GO = (1, 19)
_CARGO = "RUN apt-get update && apt-get install -y --no-install-recommends cargo && rm -rf /var/lib/apt/lists/*"
_OUTPUTS = {"dist", "build", "lib", "out"}
_SHELL_SCRIPTS = ("solve.sh", "agent.sh", "run.sh", "main.sh")
_NO_AGENT = re.compile(
    r"(bin/)?(un)?(install|setup|build|test|lint|format|release|deploy|bootstrap|configure|gradlew|mvnw).*"
)
_CONFIGURES = re.compile(r"package\.json|tsconfig.*\.json|[^.].*\.config\.[cm]?[jt]s")
_OTHER_LOCKS = ("pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb")
_INSTALLED = "/opt/agent"


def node(source: Source, command: tuple[str, ...] = ()) -> Found | None:
    """A package of Node: what the user's command starts, or its `bin` or `main`; built first if it is not there."""
    if "package.json" not in source.paths:
        return None
    package = source.json("package.json")
    start = _started_by(command) or _start_of(package)
    found = Found(packages={name: str(given) for name, given in table(package, "dependencies").items()})
    found.include = [name for name in source.tops() if _CONFIGURES.fullmatch(name)]
    if output := _output(source, start):
        _build(source, package, output, found)
    elif command and start and start not in source.paths:
        found.prepare = _builder(source, package)
    if command:
        found.command = command
    elif start and (found.prepare or start in source.paths):
        found.command, found.why = ("node", f"/scaffold/{start}"), f"package.json starts {start}"
    code = {top_of(path) for path in source.paths if re.search(r"\.[cm]?[jt]sx?$", path)}
    found.code = sorted(name for name in code if not is_aside(name) and name not in [*found.include, found.built])
    found.build = [*load_recipe("pi").layers[:2], *_installed(source, package, found)]
    return found


def _output(source: Source, start: str) -> str:
    """The folder at the top into which the file that starts is built; empty if that file is written by hand."""
    top, below, _ = start.partition("/")
    emitted = re.search(r'"outDir"\s*:\s*"(?:\./)?([^/"]+)', source.text("tsconfig.json"))
    is_emitted = emitted is not None and emitted[1] == top
    if not below or not (is_emitted or top in _OUTPUTS):
        return ""
    elsewhere = [path for path in source.paths if not path.startswith(f"{top}/") and not is_aside(top_of(path))]
    sources = (
        r"src/.*\.[cm]?[jt]sx?" if top == "lib" and not is_emitted else r"src/.*\.[cm]?[jt]sx?|.*(?<!\.d)\.[cm]?tsx?"
    )
    written = [path for path in elsewhere if re.fullmatch(sources, path) and not _CONFIGURES.fullmatch(path)]
    return top if written or start not in source.paths else ""


def _build(source: Source, package: dict[str, object], output: str, found: Found) -> None:
    """Have the output built in a box, also where it is committed: patches change what it is built from."""
    found.prepare = _builder(source, package)
    if not source.below(output):
        return
    if found.prepare:
        found.built = output
        found.notes.append(f"{output}/ is built from the rest: {shlex.join(found.prepare)} makes it for each candidate")
        return
    found.notes.append(
        f"{output}/ seems to be built from the rest, so that patches to that have no effect: give package.json a script"
        " `build`, and run this again with --force; or set scaffold.prepare, and leave it out of scaffold.mutable"
    )


def _builder(source: Source, package: dict[str, object]) -> tuple[str, ...]:
    """What makes the file that starts: the package's own script, or the compiler."""
    if table(package, "scripts").get("build"):
        return ("npm", "run", "build")
    emits = "tsconfig.json" in source.paths and not re.search(r'"noEmit"\s*:\s*true', source.text("tsconfig.json"))
    return ("/node_modules/.bin/tsc", "--project", ".") if emits else ()


def _installed(source: Source, package: dict[str, object], found: Found) -> list[str]:
    """Layers that put what it needs into /node_modules, by its lock file if npm can take that alone."""
    if _is_locked(source):
        only = "" if _develops(package, found) else " --omit=dev"
        found.notes.append("npm ci installs what package-lock.json pins, and runs no install scripts")
        install = f"cd {_INSTALLED} && npm ci --ignore-scripts --no-audit --no-fund{only}"
        tidy = f"ln -s {_INSTALLED}/node_modules /node_modules && rm -rf /root/.npm"
        return [f"COPY package.json package-lock.json {_INSTALLED}/", f"RUN {install} && {tidy}"]
    developing = dict(table(package, "devDependencies")) if _develops(package, found) else {}
    if found.prepare and "tsconfig.json" in source.paths:
        developing.setdefault("typescript", "latest")
    wanted = _npm(source, {**found.packages, **developing})
    if not wanted:
        return []
    if lock := source.first(_OTHER_LOCKS):
        fix = "commit a package-lock.json (`npm install --package-lock-only`) and run this again with --force"
        found.notes.append(f"{lock} is not read: versions are those that package.json allows, not pinned; {fix}")
    names = " ".join(f"'{name}@{version}'" for name, version in wanted.items())
    return [f"RUN npm install --prefix / --no-audit --no-fund {names} && rm -rf /root/.npm"]


def _develops(package: dict[str, object], found: Found) -> bool:
    """Whether the packages of its development are needed: to build it, or because one of them starts it."""
    names = {PurePosixPath(word).name for word in found.command}
    return bool(found.prepare) or not names.isdisjoint(table(package, "devDependencies"))


def _is_locked(source: Source) -> bool:
    """Whether package-lock.json names registries only: other packages are not there when the image is built."""
    packages = table(source.json("package-lock.json"), "packages")
    others = [table(packages, name) for name in packages if name]
    return "" in packages and not any(one.get("link") or _is_local(one) for one in others)


def _is_local(locked: dict[str, object]) -> bool:
    return not str(locked.get("resolved") or "https:").startswith("https:")


def _started_by(command: tuple[str, ...]) -> str:
    """The first file of the repository that a command names."""
    return next((word.removeprefix("/scaffold/") for word in command if word.startswith("/scaffold/")), "")


def _start_of(package: dict[str, object]) -> str:
    given = package.get("bin") or package.get("main") or ""
    if isinstance(given, dict):
        given = next(iter(given.values()), "")
    return str(given).removeprefix("./")


def _npm(source: Source, wanted: dict[str, object]) -> dict[str, str]:
    """Versions as package-lock.json pins them; what comes from elsewhere than the registry is left out."""
    locked = table(source.json("package-lock.json"), "packages")
    pinned = {
        name: str(table(locked, f"node_modules/{name}").get("version") or given) for name, given in wanted.items()
    }
    return {name: version for name, version in pinned.items() if re.fullmatch(r"[\w.^~<>=*-]+", version)}


def go(source: Source) -> Found | None:
    """A Go module, built from its vendored modules: a build in a box has no network."""
    if "go.mod" not in source.paths:
        return None
    main = source.first(("main.go",)) or next((p for p in source.paths if re.fullmatch(r"cmd/[^/]+/main\.go", p)), None)
    found = Found(build=[_GO], include=[p for p in ("go.mod", "go.sum") if p in source.paths])
    found.code = sorted({top_of(path) for path in source.paths if path.endswith(".go")} - {"vendor"})
    if source.below("vendor"):
        found.include.append("vendor")
    elif re.search(r"^\s*require\b", source.text("go.mod"), re.MULTILINE):
        found.missing = "run `go mod vendor` and commit vendor/"
    if (wanted := re.search(r"^go (\d+)\.(\d+)", source.text("go.mod"), re.MULTILINE)) and _newer(wanted):
        found.image, found.build = f"golang:{wanted[1]}.{wanted[2]}", []
        found.notes.append(f"go.mod asks for {wanted[0]}, which is newer than Debian's: the image is {found.image}")
    if main is not None:
        folder = "./" + main.removesuffix("main.go").rstrip("/")
        found.prepare = ("env", "GOCACHE=/tmp/go", "GOFLAGS=-trimpath", "go", "build", "-o", "agent.bin", folder)
        found.command, found.why = ("/scaffold/agent.bin",), f"{main} is a program"
    return found


def _newer(wanted: re.Match[str]) -> bool:
    return (int(wanted[1]), int(wanted[2])) > _DEBIANS_GO


def rust(source: Source) -> Found | None:
    """A Cargo package, built offline."""
    if "Cargo.toml" not in source.paths:
        return None
    cargo = source.toml("Cargo.toml")
    found = Found(build=[_CARGO], include=[p for p in ("Cargo.toml", "Cargo.lock") if p in source.paths])
    found.code = sorted({top_of(path) for path in source.paths if path.endswith(".rs")} - {"vendor", "target"})
    if source.below("vendor"):
        found.include += ["vendor", *(path for path in (".cargo/config.toml",) if path in source.paths)]
    elif cargo.get("dependencies"):
        found.missing = "run `cargo vendor`, and commit vendor/ and .cargo/config.toml"
    name = str(table(cargo, "package").get("name") or "")
    if name and "src/main.rs" in source.paths:
        build = f"cargo build --release --offline --target-dir /tmp/target && cp /tmp/target/release/{name} agent.bin"
        found.prepare = ("env", "CARGO_HOME=/tmp/cargo", "sh", "-c", build)
        found.command, found.why = ("/scaffold/agent.bin",), "src/main.rs is a program"
    return found


def shell(source: Source) -> Found | None:
    """A script, or any executable file at the top or in bin/."""
    name = source.first(_SHELL_SCRIPTS)
    runs = name or next(
        (p for p in sorted(source.executable) if re.fullmatch(r"(bin/)?[^/]+", p) and not _NO_AGENT.fullmatch(p)), None
    )
    if runs is None:
        return None
    command = ("sh", f"/scaffold/{runs}") if name else (f"/scaffold/{runs}",)
    return Found(command=command, why=f"{runs} is a script" if name else f"{runs} is executable", code=[top_of(runs)])
