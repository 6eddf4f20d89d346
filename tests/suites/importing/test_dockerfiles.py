"""Dockerfiles as people write them: here-documents, users, arguments, stages that only continue, entry points."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.suites.importing.baking import as_user
from agent.suites.importing.dockerfile import read_dockerfile
from agent.suites.importing.draft import Unsupported
from agent.suites.importing.environment import Environment
from agent.suites.importing.heredocs import SCRIPT, unfolded


def read(text: str, **context: str) -> Environment:
    return read_dockerfile(text, {name: body.encode() for name, body in context.items()}, "Dockerfile")


def scripts(lines: tuple[str, ...]) -> list[str]:
    """What the RUN lines of here-documents carry."""
    found = [re.match(r"RUN echo (\S*) \| base64", line) for line in lines]
    return [base64.b64decode(one[1]).decode() for one in found if one and SCRIPT in one.string]


def test_a_script_in_a_here_document_is_run_as_it_is() -> None:
    made = read('FROM a\nWORKDIR /app\nRUN <<EOF\nset -e\necho "$HOME" > /x\nEOF\nRUN touch /y\n')
    assert scripts(made.build) == ['set -e\necho "$HOME" > /x\n']
    assert made.build[-1] == "RUN touch /y"


def test_here_documents_of_a_command_keep_what_stands_around_them() -> None:
    text = (
        "FROM a\nWORKDIR /app\nRUN mkdir /t && \\\n    cat > /t/a <<'EOF' && chmod +x /t/a\n#!/bin/sh\necho $1\nEOF\n"
    )
    (script,) = scripts(read(text).build)
    assert script.endswith("<<'EOF' && chmod +x /t/a\n#!/bin/sh\necho $1\nEOF\n")
    assert script.startswith("mkdir /t && ")


def test_a_copied_here_document_is_a_file() -> None:
    made = read('FROM a\nWORKDIR /app\nCOPY <<"EOF" /app/conf\na=$b\nEOF\n')
    assert made.files == {"conf": b"a=$b\n"}
    with pytest.raises(Unsupported, match="line 3: COPY of a here-document with variables"):
        read("FROM a\nWORKDIR /app\nCOPY <<EOF /app/conf\na=$b\nEOF\n")


def test_lines_keep_their_numbers_behind_a_here_document() -> None:
    with pytest.raises(Unsupported, match="line 7: ADD"):
        read("FROM a\nWORKDIR /app\nRUN <<EOF\na\nb\nEOF\nADD http://x/y /z\n")


def test_a_shell_line_without_a_here_document_is_left_alone() -> None:
    text = "FROM a\nWORKDIR /app\nRUN echo $((1<<4)) && cat <<<word\n"
    assert unfolded(text, "Dockerfile") == (text, {})


@given(st.lists(st.text("ab <>E-'\"$\\\t#", max_size=12), max_size=8), st.sampled_from(["", "-", "'", '"']))
def test_any_script_comes_out_as_it_went_in(body: list[str], how: str) -> None:
    tabs, quote = ("-", "") if how == "-" else ("", how)
    body = [line for line in body if line.lstrip("\t") != "END"]
    text = "\n".join(["FROM a", f"RUN <<{tabs}{quote}END{quote}", *body, "END", "RUN true"])
    plain, _ = unfolded(text, "Dockerfile")
    stripped = [line.lstrip("\t") for line in body] if tabs else body
    assert scripts(tuple(plain.split("\n"))) == ["".join(f"{line}\n" for line in stripped)]
    assert plain.split("\n")[-1] == "RUN true"
    assert plain.count("\n") == text.count("\n")


def test_the_shell_runs_a_carried_script(tmp_path: Path) -> None:
    text = f"FROM a\nWORKDIR /app\nRUN cat > {tmp_path}/made <<'EOF'\n$literal `text`\nEOF\n"
    command = next(line for line in read(text).build if SCRIPT in line).removeprefix("RUN ")
    subprocess.run(["sh", "-c", command.replace(SCRIPT, str(tmp_path / "script"))], check=True)
    assert (tmp_path / "made").read_text() == "$literal `text`\n"


def test_lines_behind_user_run_as_that_user() -> None:
    made = read("FROM a\nWORKDIR /app\nUSER app:app\nRUN echo 'x' > ~/y\nUSER 1000\nRUN id\nUSER root\nRUN id\n")
    assert made.build[-3:] == ("RUN " + as_user("app", "echo 'x' > ~/y"), "RUN " + as_user("1000", "id"), "RUN id")
    assert "setpriv --reuid=1000" in made.build[-2]
    assert any("USER app" in remark for remark in made.remarks)


def test_arguments_before_from_choose_the_image() -> None:
    assert read("ARG V=3.12\nFROM python:${V}-slim\nWORKDIR /app\n").image == "python:3.12-slim"
    assert read("FROM python:${V:-3.11}\nWORKDIR /app\n").image == "python:3.11"
    with pytest.raises(Unsupported, match="FROM"):
        read("ARG V\nFROM python:$V\nWORKDIR /app\n")


def test_a_stage_on_the_one_before_goes_on_with_it() -> None:
    made = read("FROM a AS base\nRUN one\nFROM base AS tests\nRUN two\nFROM tests\nWORKDIR /app\n")
    assert made.image == "a"
    assert [line for line in made.build if line.startswith("RUN")] == ["RUN one", "RUN two"]
    alone = read("FROM a AS build\nRUN one\nFROM b\nWORKDIR /app\n")
    assert (alone.image, alone.build, dict(alone.stages)) == ("b", ("WORKDIR /app",), {})


def test_an_entry_point_is_told_and_caches_of_a_build_are_left_out() -> None:
    made = read('FROM a\nWORKDIR /app\nRUN --mount=type=cache,target=/root/.cache pip list\nENTRYPOINT ["/start"]\n')
    assert made.build[-1] == "RUN pip list"
    assert any("ENTRYPOINT is not run" in remark for remark in made.remarks)
    with pytest.raises(Unsupported, match="RUN with --mount"):
        read("FROM a\nWORKDIR /app\nRUN --mount=type=secret,id=x cat /run/secrets/x\n")
