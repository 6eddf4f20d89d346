"""Which runtime runs the boxes, and what is said where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.base.errors import UserError
from sandbox.oci.bundle import ARCHITECTURES
from sandbox.oci.program import find_program

root = pytest.mark.skipif(os.geteuid() != 0, reason="boxes without an engine take root")


def install(place: Path, name: str) -> Path:
    path = place / name
    path.write_text(f"#!/bin/sh\necho '{name} version 9.9'\n")
    path.chmod(0o755)
    return path


@root
def test_crun_is_preferred_and_runc_is_taken_where_it_is_alone(tmp_path: Path) -> None:
    runc = install(tmp_path, "runc")
    assert find_program(None, str(tmp_path)).path == runc
    crun = install(tmp_path, "crun")
    assert find_program(None, str(tmp_path)).path == crun
    assert find_program("runc", str(tmp_path)).path == runc
    assert find_program("runc", str(tmp_path)).line == f"runc 9.9 ({runc})"


@root
def test_what_is_missing_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"boxes\.engine: .*neither crun nor runc is installed\. .*install crun"):
        find_program(None, str(tmp_path))
    install(tmp_path, "crun")
    with pytest.raises(UserError, match=r"runc is not installed\. .*install runc"):
        find_program("runc", str(tmp_path))


def test_another_runtime_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"boxes\.runtime: runsc cannot be used with boxes\.engine: oci"):
        find_program("runsc")


@root
def test_a_processor_whose_system_calls_are_not_listed_is_refused_by_name(tmp_path: Path) -> None:
    install(tmp_path, "crun")
    assert all(find_program(None, str(tmp_path), machine) for machine in ARCHITECTURES)
    with pytest.raises(UserError, match=r"boxes\.engine: .*this machine is armv7l\. Use boxes\.engine: docker"):
        find_program(None, str(tmp_path), "armv7l")


@root
def test_another_user_than_root_is_told_so() -> None:
    os.seteuid(65_534)
    try:
        with pytest.raises(UserError, match=r"boxes\.engine: oci takes root on Linux"):
            find_program(None)
    finally:
        os.seteuid(0)
