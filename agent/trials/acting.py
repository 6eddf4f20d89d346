"""Who solves a task: in a machine the scaffold can run as a user of its image in place of root."""

from __future__ import annotations

from collections.abc import Sequence

from agent.base.types import Task
from agent.trials.grading import in_workdir
from sandbox.install import INTERPRETER

BECOME = """\
import os, pwd, sys
name, *argv = sys.argv[1:]
known = [user for user in pwd.getpwall() if name in (user.pw_name, str(user.pw_uid))]
if known:
    user = known[0]
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ |= {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
elif name.isdigit():
    os.setgroups([])
    os.setgid(0)
    os.setuid(int(name))
else:
    sys.exit(f"solve_as: the image has no user {name}")
os.execvp(argv[0], argv)
"""
"""Runs in the box, before any code of a candidate; as root of the machine alone it can change users."""


def solver_command(task: Task, argv: Sequence[str]) -> list[str]:
    """A command that solves a task: in its working directory, as the user that the task names."""
    command = in_workdir(task, argv)
    return [INTERPRETER, "-I", "-c", BECOME, task.solve_as, *command] if task.solve_as else command
