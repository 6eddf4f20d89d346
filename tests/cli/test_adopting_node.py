"""`ratchet init --agent PATH` for agents in JavaScript and TypeScript: what is built, installed and improved."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.base.yaml import load
from agent.cli.adopting.adopt import Answers, adopt
from agent.config.campaign import load_config
from agent.config.recipes import load_recipe
from tests.cli.test_adopting import adopted, repository


def test_typescript_is_compiled_in_a_box(tmp_path: Path) -> None:
    package = {
        "main": "./dist/main.js",
        "dependencies": {"openai": "^6.0.0", "own": "file:../own"},
        "devDependencies": {"typescript": "5.9.3"},
    }
    lock = {"packages": {"node_modules/openai": {"version": "6.1.0"}}}
    files = {
        "src/main.ts": "1",
        "package.json": json.dumps(package),
        "package-lock.json": json.dumps(lock),
        "tsconfig.json": "{}",
    }
    scaffold = adopted(tmp_path, files)[0].scaffold
    assert scaffold.command == ("node", "/scaffold/dist/main.js")
    assert scaffold.prepare == ("/node_modules/.bin/tsc", "--project", ".")
    assert scaffold.mutable == ("src",)
    assert scaffold.include == ("package.json", "tsconfig.json")
    assert "'openai@6.1.0' 'typescript@5.9.3' &&" in scaffold.build[-1]


LOCK = {"packages": {"": {"name": "mine"}, "node_modules/x": {"resolved": "https://registry.invalid/x.tgz"}}}
PACKAGE = {
    "name": "mine", "bin": {"mine": "./dist/cli.mjs"}, "scripts": {"build": "pkgroll", "prepare": "husky"},
    "dependencies": {"x": "1"}, "devDependencies": {"pkgroll": "2.1.0"},
}  # fmt: skip
AT_THE_TOP = {".eslintrc.cjs": "", "vitest.config.ts": "", "tsconfig.json": '{"compilerOptions": {"noEmit": true}}'}


def test_a_package_is_built_by_its_own_script_and_installed_by_its_lock_file(tmp_path: Path) -> None:
    texts = {"package.json": json.dumps(PACKAGE), "package-lock.json": json.dumps(LOCK), "src/cli.ts": "1"}
    scaffold = adopted(tmp_path, {**AT_THE_TOP, **texts})[0].scaffold
    assert scaffold.command == ("node", "/scaffold/dist/cli.mjs")
    assert scaffold.prepare == ("npm", "run", "build")
    assert scaffold.mutable == ("src",)
    assert scaffold.include == ("package.json", "tsconfig.json", "vitest.config.ts")
    assert scaffold.build[-2] == "COPY package.json package-lock.json /opt/agent/"
    assert "npm ci --ignore-scripts --no-audit --no-fund &&" in scaffold.build[-1]


@pytest.mark.parametrize(
    "odd", [{"link": True}, {"resolved": "file:../own"}, {"resolved": "git+ssh://git@h.invalid/x"}]
)
def test_a_lock_file_that_needs_more_than_a_registry_is_not_copied(tmp_path: Path, odd: dict[str, object]) -> None:
    lock = {"packages": {**LOCK["packages"], "node_modules/own": odd}}
    texts = {"package.json": json.dumps(PACKAGE), "package-lock.json": json.dumps(lock), "src/cli.ts": "1"}
    layer = adopted(tmp_path, texts)[0].scaffold.build[-1]
    assert layer.startswith("RUN npm install --prefix / --no-audit --no-fund 'x@1' 'pkgroll@2.1.0' &&")


def test_a_program_that_runs_as_it_is_gets_no_packages_of_its_development(tmp_path: Path) -> None:
    package = {"main": "main.js", "devDependencies": {"eslint": "9.0.0"}}
    texts = {"package.json": json.dumps(package), "package-lock.json": json.dumps(LOCK), "main.js": "1"}
    scaffold = adopted(tmp_path, texts)[0].scaffold
    assert scaffold.prepare == ()
    assert "--omit=dev" in scaffold.build[-1]


COMMITTED = {"dist/cli.mjs": "1", "dist/prompts/a.md": "x", "src/cli.ts": "1", "src/prompts/a.md": "x"}


def test_what_is_built_and_committed_is_built_again_and_its_source_improved(tmp_path: Path) -> None:
    texts = {"package.json": json.dumps(PACKAGE), "package-lock.json": json.dumps(LOCK), **COMMITTED}
    config, notes = adopted(tmp_path, texts)
    assert config.scaffold.command == ("node", "/scaffold/dist/cli.mjs")
    assert config.scaffold.prepare == ("npm", "run", "build")
    assert config.scaffold.mutable == ("src",)
    assert "--omit=dev" not in config.scaffold.build[-1]
    assert "dist/ is built from the rest: npm run build makes it for each candidate" in notes


def test_the_output_of_a_compiler_is_what_its_configuration_names(tmp_path: Path) -> None:
    package, options = json.dumps({"main": "made/main.js"}), '{"compilerOptions": {"outDir": "./made/", /* x */}}'
    texts = {"package.json": package, "tsconfig.json": options, "made/main.js": "1", "main.ts": "1"}
    scaffold = adopted(tmp_path, texts)[0].scaffold
    assert scaffold.prepare == ("/node_modules/.bin/tsc", "--project", ".")
    assert scaffold.mutable == (".",)
    assert "made" in scaffold.frozen


def test_an_output_that_nothing_builds_is_told(tmp_path: Path) -> None:
    package, options = json.dumps({"main": "dist/main.js"}), '{"compilerOptions": {"noEmit": true}}'
    texts = {"package.json": package, "tsconfig.json": options, "dist/main.js": "1", "src/main.ts": "1"}
    config, notes = adopted(tmp_path, texts)
    assert config.scaffold.prepare == ()
    assert "dist/ seems to be built from the rest" in notes
    assert "give package.json a script `build`" in notes


@pytest.mark.parametrize("more", [{}, {"scripts/release.ts": "1"}, {"lib/main.d.ts": "1"}])
def test_a_folder_without_sources_beside_it_is_no_output(tmp_path: Path, more: dict[str, str]) -> None:
    package = {"main": "lib/main.js", "scripts": {"build": "eslint lib"}}
    scaffold = adopted(tmp_path, {"package.json": json.dumps(package), "lib/main.js": "1", **more})[0].scaffold
    assert scaffold.prepare == ()
    assert "lib" in scaffold.mutable


START = {"scripts": {"start": "tsx src/index.ts", "build": "tsc"}, "devDependencies": {"tsx": "^4", "typescript": "^5"}}
PNPM = {"package.json": json.dumps(START), "pnpm-lock.yaml": "", "tsconfig.json": "{}", "src/index.ts": "1"}


def test_a_package_without_bin_gets_its_layers_and_its_build_where_the_command_is_said(tmp_path: Path) -> None:
    config, notes = adopted(tmp_path, PNPM, command="node /scaffold/dist/index.js")
    scaffold = config.scaffold
    assert scaffold.command == ("node", "/scaffold/dist/index.js")
    assert scaffold.prepare == ("npm", "run", "build")
    assert scaffold.mutable == ("src",)
    assert scaffold.include == ("package.json", "tsconfig.json")
    assert scaffold.build[:2] == load_recipe("pi").layers[:2]
    assert "'tsx@^4' 'typescript@^5'" in scaffold.build[-1]
    assert "pnpm-lock.yaml is not read: versions are those that package.json allows, not pinned" in notes


def test_a_package_that_its_development_starts_gets_that_and_no_build(tmp_path: Path) -> None:
    scaffold = adopted(tmp_path, PNPM, command="node --import tsx /scaffold/src/index.ts")[0].scaffold
    assert scaffold.prepare == ()
    assert scaffold.mutable == ("src",)
    assert "'tsx@^4'" in scaffold.build[-1]


def test_a_command_of_python_beside_a_package_of_node_is_pythons(tmp_path: Path) -> None:
    files = {**PNPM, "main.py": "print(1)\n", "agent.py": "print(2)\n"}
    config = adopted(tmp_path / "a", files, command="python3 /scaffold/agent.py")[0]
    assert not config.scaffold.build
    config = adopted(tmp_path / "b", files, command="env A=1 node /scaffold/dist/index.js")[0]
    assert config.scaffold.prepare == ("npm", "run", "build")


def test_a_package_that_starts_nothing_is_told_of_bin(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"in `bin` of package.json .* --command \"node /scaffold/dist/index.js\""):
        adopted(tmp_path, PNPM)


def test_a_command_that_a_terminal_is_asked_for_counts_as_one_that_was_said(tmp_path: Path) -> None:
    made = repository(tmp_path / "mine", PNPM)
    asked: list[tuple[str, str]] = []

    def ask(question: str, default: str) -> str:
        asked.append((question.split(maxsplit=1)[0], default))
        return default or "node /scaffold/dist/index.js"

    file, _ = adopt(str(made), None, Answers(), force=False, ask=ask)
    assert asked == [("Command", ""), ("Paths", "src"), ("Suite:", "agentic")]
    assert load_config(file).scaffold.prepare == ("npm", "run", "build")


def test_the_lines_of_the_page_that_install_node_are_those_that_init_writes(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/scaffold.md").read_text()
    block = next(one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "npm ci" in one)
    (tmp_path / "block.yaml").write_text(block)
    layers = tuple(load(tmp_path / "block.yaml")["scaffold"]["build"])
    assert layers[:2] == load_recipe("pi").layers[:2]
