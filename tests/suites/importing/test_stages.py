"""Stages of a Dockerfile: what a COPY takes from is built apart, and nothing else of it comes into a task's image."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.base import yaml
from agent.cli.suites import prove_suite
from agent.suites.importing.bases import in_place_of, replaced
from agent.suites.importing.dockerfile import read_dockerfile
from agent.suites.importing.draft import OWN_IMAGE, Options, Unsupported
from agent.suites.importing.environment import Environment
from agent.suites.importing.run import import_suite
from agent.suites.loader import load_suite
from tests.suites.importing.shapes import HEAD, SEPARATE, TASK

DOCKERFILE = "environment/Dockerfile"
GENERATED = (
    "FROM python:3.11-slim AS Generator\nWORKDIR /build\nCOPY make.py .\nRUN python make.py\n"
    "FROM python:3.12-slim\nWORKDIR /app\nCOPY --from=generator /build/out data/\n"
)


def read(text: str, *, machine: bool = True, **context: str) -> Environment:
    files = {name.replace("_", "."): body.encode() for name, body in context.items()}
    return read_dockerfile(text, files, "Dockerfile", machine=machine)


def test_a_stage_that_files_are_copied_from_is_built_apart() -> None:
    made = read(GENERATED, make_py="print()\n")
    assert made.image == "python:3.12-slim"
    assert made.build == ("WORKDIR /app", "COPY --from=generator /build/out /app/data/")
    (lines,) = made.stages.values()
    assert lines[0] == "FROM python:3.11-slim"
    assert lines[-1] == "RUN python make.py"
    assert "> /build/make.py" in lines[-2]
    assert made.files == made.checked == {}


def test_stages_are_found_by_number_and_by_those_that_need_them() -> None:
    made = read(
        "FROM a\nRUN one\nFROM b AS two\nCOPY --from=0 /x /y\nFROM c AS idle\nRUN idle\nFROM d\nWORKDIR /app\n"
        "COPY --from=two --chown=5:5 /y /z ./\n"
    )
    assert list(made.stages.items()) == [
        ("stage-0", ("FROM a", "RUN one")),
        ("two", ("FROM b", "COPY --from=stage-0 /x /y")),
    ]
    assert made.build[-1] == "COPY --from=two /y /z /app/"
    assert any("--chown=5:5" in remark for remark in made.remarks)


def test_a_stage_on_another_one_has_its_lines_as_well() -> None:
    made = read("FROM a AS x\nRUN one\nFROM x AS y\nRUN two\nFROM b\nRUN idle\nFROM x\nCOPY --from=y /t /t\n")
    assert made.image == "a"
    assert made.stages == {"y": ("FROM a", "RUN one", "RUN two")}
    assert made.build == ("RUN one", "COPY --from=y /t /t")


def test_an_image_that_files_are_copied_from_is_a_stage_of_its_own() -> None:
    made = read('FROM a\nCOPY --from=busybox:1.36 ["/bin/a b", "/bin/"]\n')
    assert made.stages == {"image-busybox-1.36": ("FROM busybox:1.36",)}
    assert made.build == ('COPY --from=image-busybox-1.36 ["/bin/a b", "/bin/"]',)


def test_uv_is_installed_by_pip_also_where_a_stage_names_its_image() -> None:
    made = read("FROM ghcr.io/astral-sh/uv:0.8.14 AS uv\nFROM a\nCOPY --from=uv /uv /bin/\n")
    assert made.stages == {}
    assert "'uv==0.8.14'" in made.build[-1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("COPY --from=$X /a /b", "COPY /a"),
        ("COPY --from= /a /b", "COPY /a"),
        ("COPY --from=b /a", "COPY without a target"),
        ("COPY --from=b /a /tests/", "line 3: COPY to '/tests/', which a box fills itself"),
        ("COPY --from=b /a /task/x", "COPY to"),
        ("FROM d AS b", "two stages of one name"),
        ("COPY --exclude=x --from=b /a /b", "COPY --exclude"),
    ],
)
@pytest.mark.parametrize("machine", [False, True])
def test_what_cannot_be_copied_from_a_stage_is_refused(line: str, said: str, machine: bool) -> None:
    with pytest.raises(Unsupported, match=said):
        read(f"FROM a AS b\nFROM c\n{line}\nWORKDIR /app\n", machine=machine)


@given(st.lists(st.sampled_from("abcde"), max_size=5, unique=True), st.integers(0, 5))
def test_every_stage_is_written_before_those_that_copy_from_it(names: list[str], last: int) -> None:
    parts = [
        f"FROM i{n} AS {name}\n" + "".join(f"COPY --from={b} /x /y\n" for b in names[:n])
        for n, name in enumerate(names)
    ]
    made = read("".join([*parts, "FROM z\n", *(f"COPY --from={name} /x /y\n" for name in names[:last])]))
    known: set[str] = set()
    for name, lines in [*made.stages.items(), ("", ("", *made.build))]:
        assert {line.split()[1].removeprefix("--from=") for line in lines if line.startswith("COPY")} <= known
        known.add(name)


def test_the_image_that_the_user_names_takes_the_place_of_every_stages_image() -> None:
    made = replaced(read(GENERATED, make_py=""), Options(image="mine:1"))
    assert [lines[0] for lines in made.stages.values()] == ["FROM mine:1"]
    own = replaced(read(GENERATED, make_py=""), Options(image=OWN_IMAGE))
    (lines,) = own.stages.values()
    assert lines[0] == "FROM ratchet-box"
    assert "python3-pip" in lines[1]  # RUN python in a build needs more than our own image has
    assert own.remarks[-1] == "python:3.12-slim is replaced by Ratchet's own image"


@pytest.mark.parametrize(
    ("image", "brings"),
    [
        ("public.ecr.aws/docker/library/python:3.13-slim@sha256:1", "with pip, in Debian's versions"),
        ("python:3.12", "with pip and a C compiler"),
        ("ghcr.io/x/python-3-13:1", "with pip and a C compiler"),
        ("node:20-slim", "with Node.js and npm"),
        ("ubuntu:24.04", "own image"),
        ("me/own-base:1", "own image"),
    ],
)
def test_our_own_image_gets_what_a_well_known_one_has(image: str, brings: str) -> None:
    layers, remark = in_place_of(image, ["RUN pip install x"])
    assert remark.startswith(f"{image.partition('@')[0]} is replaced by Ratchet's own image")
    assert brings in remark
    assert bool(layers) == ("with" in brings)


def test_a_verifier_with_stages_of_its_own_keeps_them(plant: Any) -> None:
    stages = "FROM a AS tools\nRUN tools\n"
    both = SEPARATE | {
        DOCKERFILE: f"{stages}FROM b\nWORKDIR /app\nCOPY --from=tools /t /opt/t\n",
        "tests/Dockerfile": f"FROM c AS judge\n{stages}FROM b\nCOPY --from=tools /t /u\nCOPY --from=judge /j /j\n",
    }
    source: Path = plant(both)
    import_suite("harbor", source, source.parent / "suite", options=Options())
    (task,) = load_suite(source.parent / "suite").tasks
    assert dict(task.stages) == {"tools": ("FROM a", "RUN tools"), "judge": ("FROM c",)}


def test_a_stage_that_fills_the_working_directory_makes_a_machine(plant: Any) -> None:
    source: Path = plant(TASK | {DOCKERFILE: GENERATED, "environment/make.py": "print()\n"})
    import_suite("harbor", source, source.parent / "suite", options=Options())
    written = yaml.load(next((source.parent / "suite").glob("*/task.yaml")))
    assert written["profile"] == "machine"
    assert list(written["stages"]) == ["generator"]


@pytest.mark.docker
@pytest.mark.slow
def test_a_task_whose_files_a_stage_makes_is_proven_and_has_nothing_else_of_it(plant: Any) -> None:
    source: Path = plant(
        TASK
        | {
            "task.toml": HEAD,
            DOCKERFILE: (
                "FROM ubuntu:24.04 AS made\nWORKDIR /build\nCOPY make.sh .\nRUN sh make.sh\n"
                "FROM made AS more\nRUN echo 2 >> out/numbers\n"
                "FROM ubuntu:24.04\nWORKDIR /app\nCOPY --from=more /build/out data/\n"
            ),
            "environment/make.sh": "mkdir out; echo 4 > out/numbers\n",
            "solution/solve.sh": "test ! -e /build && tr -d '\\n' < data/numbers > /app/answer.txt\n",
        }
    )
    suite = import_suite("harbor", source, source.parent / "suite", options=Options(image=OWN_IMAGE)).dest
    (proof,) = asyncio.run(prove_suite(load_suite(suite), 1, None, Console(quiet=True)))
    assert proof.findings == ()
