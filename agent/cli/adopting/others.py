"""Agents in JavaScript, TypeScript, Go, Rust and shell."""

from __future__ import annotations

import re

from agent.cli.adopting.source import Found, Source, top_of
from agent.config.recipes import load_recipe

_GO = "RUN apt-get update && apt-get install -y --no-install-recommends golang-go && rm -rf /var/lib/apt/lists/*"
_CARGO = "RUN apt-get update && apt-get install -y --no-install-recommends cargo && rm -rf /var/lib/apt/lists/*"
_BUILT = ("dist/", "build/", "lib/", "out/")
_SHELL_SCRIPTS = ("solve.sh", "agent.sh", "run.sh", "main.sh")


def node(source: Source) -> Found | None:
    """A package of Node: its `bin` or `main`, compiled if it is TypeScript."""
    if "package.json" not in source.paths:
        return None
    package = source.json("package.json")
    found = Found(packages=_npm(source, dict(package.get("dependencies") or {})), include=["package.json"])
    start = _start_of(package)
    typescript = "tsconfig.json" in source.paths and start.startswith(_BUILT)
    if typescript:
        developing = dict(package.get("devDependencies") or {})
        types = {name: version for name, version in developing.items() if name.startswith("@types/")}
        found.packages |= _npm(source, {"typescript": developing.get("typescript", "latest"), **types})
        found.prepare = ("/node_modules/.bin/tsc", "--project", ".")
        found.include.append("tsconfig.json")
    if start and (typescript or start in source.paths):
        found.command, found.why = ("node", f"/scaffold/{start}"), f"package.json starts {start}"
    found.code = sorted({top_of(p) for p in source.paths if re.search(r"\.[cm]?[jt]sx?$", p)} - {"node_modules"})
    found.build = list(load_recipe("pi").layers[:2])
    if found.packages:
        wanted = " ".join(f"'{name}@{version}'" for name, version in found.packages.items())
        found.build.append(f"RUN npm install --prefix / --no-audit --no-fund {wanted} && rm -rf /root/.npm")
    return found


def _start_of(package: dict[str, object]) -> str:
    given = package.get("bin") or package.get("main") or ""
    if isinstance(given, dict):
        given = next(iter(given.values()), "")
    return str(given).removeprefix("./")


def _npm(source: Source, wanted: dict[str, object]) -> dict[str, str]:
    """Versions as package-lock.json pins them; what comes from elsewhere than the registry is left out."""
    locked = source.json("package-lock.json").get("packages") or {}
    pinned = {
        name: str((locked.get(f"node_modules/{name}") or {}).get("version") or given) for name, given in wanted.items()
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
        found.notes.append("a build in a box has no network: run `go mod vendor`, commit vendor/ and include it")
    if main is not None:
        folder = "./" + main.removesuffix("main.go").rstrip("/")
        found.prepare = ("env", "GOCACHE=/tmp/go", "GOFLAGS=-trimpath", "go", "build", "-o", "agent.bin", folder)
        found.command, found.why = ("/scaffold/agent.bin",), f"{main} is a program"
    return found


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
        found.notes.append("a build in a box has no network: run `cargo vendor`, commit vendor/ and include it")
    name = str(cargo.get("package", {}).get("name") or "")
    if name and "src/main.rs" in source.paths:
        build = f"cargo build --release --offline --target-dir /tmp/target && cp /tmp/target/release/{name} agent.bin"
        found.prepare = ("env", "CARGO_HOME=/tmp/cargo", "sh", "-c", build)
        found.command, found.why = ("/scaffold/agent.bin",), "src/main.rs is a program"
    return found


def shell(source: Source) -> Found | None:
    """A script, or any executable file at the top or in bin/."""
    name = source.first(_SHELL_SCRIPTS)
    runs = name or next((p for p in sorted(source.executable) if re.fullmatch(r"(bin/)?[^/]+", p)), None)
    if runs is None:
        return None
    command = ("sh", f"/scaffold/{runs}") if name else (f"/scaffold/{runs}",)
    return Found(command=command, why=f"{runs} is a script" if name else f"{runs} is executable", code=[top_of(runs)])
