"""`ratchet init --agent PATH|URL`: what is proposed for agents of several kinds, never what the doctor rejects."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.cli.adopting.adopt import Answers, adopt, put_back
from agent.config.campaign import Config, load_config
from tests.cli.test_init import NO_ENGINE, git, ratchet

PROGRAM = "print(1)\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 5\n"


def repository(folder: Path, files: dict[str, str], executable: tuple[str, ...] = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for path in executable:
        (folder / path).chmod(0o755)
    git(folder, "init", "-q", "-b", "main", "--template=")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "start")
    return folder


def adopted(
    folder: Path, files: dict[str, str], executable: tuple[str, ...] = (), **said: object
) -> tuple[Config, str]:
    made = repository(folder / "mine", files, executable)
    file, notes = adopt(str(made), None, Answers(**said), force=False, ask=None)
    return load_config(file), "\n".join(notes)


def test_a_python_package_with_a_lock_file(tmp_path: Path) -> None:
    lock = '[[package]]\nname = "openai"\nversion = "3.57.0"\n'
    project = '[project]\nname = "mine"\ndependencies = ["OpenAI[x]>=3", "rich ~= 1.0 ; python_version > \'3\'", "a @ https://x"]\n'
    config, notes = adopted(
        tmp_path,
        {
            "src/mine/__init__.py": "", "src/mine/__main__.py": PROGRAM, "src/mine/prompts/a.md": "x",
            "prompts/b.md": "y", "tests/test_a.py": "", "pyproject.toml": project, "uv.lock": lock,
        },
    )  # fmt: skip
    scaffold = config.scaffold
    assert scaffold.command == ("env", "PYTHONPATH=/scaffold/src", "python3", "-P", "-m", "mine")
    assert scaffold.mutable == ("src/mine", "prompts")
    assert scaffold.build[-1].endswith("'OpenAI[x]==3.57.0' 'rich~=1.0'")
    assert "src/mine/__main__.py is a program" in notes
    assert "tests are neither mutable nor shown" in notes


def test_a_console_script_is_called_as_its_function(tmp_path: Path) -> None:
    project = '[project]\nname = "mine"\n[project.scripts]\nmine = "mine.cli:main"\n'
    files = {"mine/__init__.py": "", "mine/cli.py": "def main(): ...\n", "pyproject.toml": project}
    config, _ = adopted(tmp_path, files)
    assert config.scaffold.command[-2:] == ("-c", "from mine.cli import main; raise SystemExit(main())")


def test_a_script_at_the_top_makes_the_whole_repository_mutable_with_exceptions(tmp_path: Path) -> None:
    files = {
        "agent.py": PROGRAM,
        "system.md": "x",
        "tests/a.py": "",
        "README.md": "",
        "data/x": "",
        "requirements.txt": "-r b\nsmolagents\n",
    }
    made = repository(tmp_path / "mine", files)
    (made / "link").symlink_to("agent.py")
    git(made, "add", "link")
    git(made, "-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "link")
    file, notes = adopt(str(made), None, Answers(), force=False, ask=None)
    scaffold = load_config(file).scaffold
    assert scaffold.mutable == (".",)
    assert set(scaffold.frozen) == {"README.md", "campaign.yaml", "data", "link", "tests"}
    assert scaffold.command == (
        "env",
        "HF_HUB_OFFLINE=1",
        "HF_HUB_DISABLE_TELEMETRY=1",
        "python3",
        "/scaffold/agent.py",
    )
    assert any("link" in note for note in notes)


def test_data_behind_lfs_pointers_is_left_out_and_named(tmp_path: Path) -> None:
    config, notes = adopted(tmp_path, {"agent.py": PROGRAM, "demo.gif": POINTER, "deep/model.bin": POINTER})
    assert {"demo.gif", "deep/model.bin"} <= set(config.scaffold.frozen)
    assert "LFS pointers): deep/model.bin, demo.gif" in notes


def test_requirements_are_copied_and_the_script_that_installs_is_not_the_agent(tmp_path: Path) -> None:
    files = {"agent.py": PROGRAM, "requirements.txt": "openai==3.57.0\n# a remark\n", "install.sh": "#!/bin/sh\n"}
    scaffold = adopted(tmp_path / "a", files, ("install.sh",))[0].scaffold
    assert scaffold.build[-2] == "COPY requirements.txt /opt/agent/"
    assert scaffold.build[-1].endswith("-r /opt/agent/requirements.txt")
    made = repository(tmp_path / "b", {"install.sh": "#!/bin/sh\n"}, ("install.sh",))
    done = ratchet(tmp_path, "init", "--agent", str(made))
    assert f"ratchet init --agent {made} --command" in done.stderr


def test_an_agent_that_has_a_recipe_is_told_of_it(tmp_path: Path) -> None:
    project = '[project]\nname = "mini-swe-agent"\n'
    files = {"src/mini/__init__.py": "", "src/mini/__main__.py": PROGRAM, "pyproject.toml": project}
    config, notes = adopted(tmp_path, files)
    assert "it is mini-swe-agent, which has a recipe" in notes
    assert "MSWEA_CONFIGURED=true" in config.scaffold.command
    assert " -y --exit-immediately -o /tmp/trajectory.json -t " in config.scaffold.command[-1]


def test_go_and_rust_are_built_without_a_network(tmp_path: Path) -> None:
    module = "module m\n\nrequire example.org/x v1.0.0\n"
    files = {"go.mod": module, "cmd/a/main.go": "package main", "lib/x.go": "package lib"}
    with pytest.raises(UserError, match="run `go mod vendor` and commit vendor/"):
        adopted(tmp_path / "bare", files)
    assert not (tmp_path / "bare/mine/campaign.yaml").exists()
    config, notes = adopted(tmp_path / "go", {**files, "vendor/modules.txt": ""})
    assert config.scaffold.prepare[-2:] == ("agent.bin", "./cmd/a")
    assert config.scaffold.mutable == ("cmd", "lib")
    assert config.scaffold.include == ("go.mod", "vendor")
    files = {"Cargo.toml": '[package]\nname = "crab"\n', "src/main.rs": "fn main() {}"}
    config, notes = adopted(tmp_path / "rust", files)
    assert "release/crab agent.bin" in config.scaffold.prepare[-1]
    assert "vendor" not in notes


def test_code_that_is_too_large_for_patches_is_seen_by_boxes_all_the_same(tmp_path: Path) -> None:
    files = {"main.go": "package main", "go.mod": "module m\n\ngo 1.25.0\n", "pkg/a/x.go": "x" * (1 << 20)}
    config, notes = adopted(tmp_path, {**files, "pkg/b.go": "package pkg", "media/film": "x" * (2 << 20)})
    scaffold = config.scaffold
    assert {"pkg", "media"} <= set(scaffold.frozen)
    assert "pkg" in scaffold.include
    assert "media" not in scaffold.include
    assert "pkg is large: boxes see it" in notes
    assert "go.mod asks for go 1.25, which is newer than Debian's: the image is golang:1.25" in notes
    assert scaffold.image == "golang:1.25"
    assert scaffold.build == ()
    assert "--mutable" in notes


def test_an_executable_and_the_packages_of_a_dockerfile(tmp_path: Path) -> None:
    docker = "FROM x\nRUN apt-get update && apt-get install -y \\\n  jq curl && rm -rf /var/lib/apt/lists/*\nRUN make\n"
    config, _ = adopted(tmp_path, {"bin/solve": "#!/bin/sh\n", "Dockerfile": docker}, ("bin/solve",))
    assert config.scaffold.command == ("/scaffold/bin/solve",)
    assert config.scaffold.mutable == ("bin",)
    assert config.scaffold.build == ("RUN apt-get update && apt-get install -y jq curl && rm -rf /var/lib/apt/lists/*",)


def test_answers_win_and_a_terminal_is_asked_with_the_proposal(tmp_path: Path) -> None:
    files = {"agent.py": PROGRAM, "deep/x.py": PROGRAM}
    config, _ = adopted(tmp_path, files, command="python3 '/scaffold/deep/x.py'", mutable=["deep/"], suite="starter")
    assert config.scaffold.command == ("python3", "/scaffold/deep/x.py")
    assert config.scaffold.mutable == ("deep",)
    assert config.suite.name == "starter"
    asked: list[tuple[str, str]] = []

    def ask(question: str, default: str) -> str:
        asked.append((question.split(maxsplit=1)[0], default))
        return default

    adopt(str(tmp_path / "mine"), None, Answers(), force=True, ask=ask)
    assert asked == [("Command", "python3 /scaffold/agent.py"), ("Paths", "."), ("Suite:", "agentic")]


def test_a_repository_is_cloned_from_an_address_and_keeps_its_own_suite(tmp_path: Path) -> None:
    task = {
        "id": "a", "split": "search", "instruction": "x", "submit": ["a"], "tests": {"t.py": "1"}, "junit": 1,
        "check": ["python3"], "solution": {"a": "1"},
    }  # fmt: skip
    tasks = [
        {**task, "id": s, "split": s, "instruction": s, "tests": {"t.py": s}} for s in ("search", "gate", "holdout")
    ]
    suite = json.dumps({"name": "own", "tasks": tasks})
    made = repository(tmp_path / "far", {"solve.sh": "exit 0\n", "evals/suite.yaml": suite})
    done = ratchet(tmp_path, "init", "--agent", f"file://{made}", "near")
    assert done.returncode == 0, done.stderr
    assert "the command: solve.sh is a script" in done.stdout
    assert "ratchet doctor near/campaign.yaml" in done.stdout.replace(f"{tmp_path}/", "")
    config = load_config(tmp_path / "near/campaign.yaml")
    assert config.suite == tmp_path / "near/evals"
    assert "evals" in config.scaffold.frozen, "else boxes would see the hidden tests"
    doctor = ratchet(tmp_path / "near", "doctor", **NO_ENGINE)
    assert [line.split()[1] for line in doctor.stdout.splitlines() if line.startswith("FAIL")] == ["docker"]


@pytest.mark.parametrize(
    ("files", "arguments", "said"),
    [
        ({"notes.txt": ""}, [], "nothing that starts was found"),
        ({"agent.py": PROGRAM}, ["--mutable", "nowhere"], "`nowhere` is not in commit"),
        ({"agent.py": PROGRAM}, ["--suite", "none"], "none"),
        ({"a/x.py": PROGRAM, "agent.py": "version https://git-lfs.github.com/spec/v1\n"}, [], "Git LFS pointer"),
    ],
)
def test_what_the_doctor_would_reject_is_not_left(
    tmp_path: Path, files: dict[str, str], arguments: list[str], said: str
) -> None:
    made = repository(tmp_path / "mine", files)
    done = ratchet(tmp_path, "init", "--agent", "mine", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (made / "campaign.yaml").exists()


def test_flags_for_an_own_agent_need_one(tmp_path: Path) -> None:
    for arguments in (["--command", "x"], ["--agent", "pi", "--suite", "starter"]):
        done = ratchet(tmp_path, "init", *arguments, "mine")
        assert done.returncode == 2
        assert "--agent PATH" in done.stderr
    (tmp_path / "plain").mkdir()
    assert "not the top of a git repository" in ratchet(tmp_path, "init", "--agent", "plain").stderr


def test_an_agent_is_looked_at_in_its_own_repository_whatever_a_hook_says(tmp_path: Path) -> None:
    made = repository(tmp_path / "mine", {"agent.py": PROGRAM, "x.gif": POINTER})
    other = repository(tmp_path / "other", {"solve.sh": "exit 0\n"})
    hook = {"GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(other / ".git/index")}
    for arguments in ((str(made),), (f"file://{made}", "near")):
        done = ratchet(tmp_path, "init", "--agent", *arguments, **hook)
        assert done.returncode == 0, done.stderr
        assert "agent.py is a script" in done.stdout
        assert "LFS pointers): x.gif" in done.stdout
    assert git(other, "ls-files") == "solve.sh\n"
    assert git(tmp_path / "near", "ls-files").split() == ["agent.py", "x.gif"]


BROKEN = {
    "a project that is text": {"pyproject.toml": 'project = "x"\n[tool]\npoetry = 1\n'},
    "tables that are lists": {"pyproject.toml": "tool = []\n[project]\nscripts = [1]\ndependencies = 5\n"},
    "a lock of text": {"pyproject.toml": "", "uv.lock": 'package = ["x"]\n', "poetry.lock": "package = 1\n"},
    "packages in a list": {
        "package.json": '{"main": "main.js"}', "main.js": "1", "package-lock.json": '{"packages": [1]}',
    },
    "packages of text": {
        "package.json": '{"bin": {"x": 1}, "main": "main.js", "dependencies": ["x"], "scripts": "build"}',
        "package-lock.json": '{"packages": {"": 1, "node_modules/x": "y"}}',
    },
    "a crate of text": {"Cargo.toml": 'package = "x"\n', "src/main.rs": "fn main() {}"},
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_a_repository_says_about_itself_may_be_of_any_shape(tmp_path: Path, name: str) -> None:
    config, _ = adopted(tmp_path, {"agent.py": PROGRAM, **BROKEN[name]})
    assert config.scaffold.command[-1] in {"/scaffold/agent.py", "/scaffold/main.js"}


def test_a_command_with_an_open_quote_is_said(tmp_path: Path) -> None:
    repository(tmp_path / "mine", {"agent.py": PROGRAM})
    done = ratchet(tmp_path, "init", "--agent", "mine", "--command", "python3 it's")
    assert done.returncode == 2
    assert '--command: "python3 it\'s" is not a command of a shell (no closing quotation)' in done.stderr


def test_a_path_that_is_not_utf8_is_named_and_the_file_stays(tmp_path: Path) -> None:
    made = repository(tmp_path / "mine", {"agent.py": PROGRAM, "campaign.yaml": "mine"})
    (made / os.fsdecode(b"caf\xe9")).symlink_to("agent.py")
    git(made, "add", "-A")
    git(made, "-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "link")
    done = ratchet(tmp_path, "init", "--agent", "mine", "--force")
    assert done.returncode == 2
    assert "not UTF-8, which campaign.yaml cannot name: caf<U+DCE9>. Rename it" in done.stderr
    assert (made / "campaign.yaml").read_text() == "mine"


def test_a_link_that_is_not_utf8_among_the_tests_is_told(tmp_path: Path) -> None:
    made = repository(tmp_path / "mine", {"mine/__init__.py": "", "mine/__main__.py": PROGRAM, "tests/a.py": ""})
    (made / "tests" / os.fsdecode(b"caf\xe9")).symlink_to("a.py")
    git(made, "add", "-A")
    git(made, "-c", "user.name=u", "-c", "user.email=u@x", "commit", "-qm", "link")
    done = ratchet(tmp_path, "init", "--agent", "mine")
    assert done.returncode == 0, done.stderr
    assert "LFS pointers): tests/caf<U+DCE9>" in done.stdout


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_was_there_is_put_back_whatever_interrupts(tmp_path: Path, fault: BaseException) -> None:
    file = tmp_path / "campaign.yaml"

    def write() -> None:
        with put_back(file):
            file.write_text("half")
            raise fault

    with pytest.raises(type(fault)):
        write()
    assert not list(tmp_path.iterdir())
    file.write_text("mine")
    with pytest.raises(type(fault)):
        write()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("campaign.yaml", "mine")]
