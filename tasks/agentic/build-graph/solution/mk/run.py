import os
import subprocess
import sys

from mk.graph import order
from mk.parse import MkError
from mk.stale import Times, mtime


def build(rules, targets, dry, going_on):
    """Exit code."""
    built, failed, times = set(), set(), Times(rules)
    for rule in order(rules, targets):
        if any(need in failed for need in rule.needs):
            failed.add(rule.target)
        elif times.stale(rule, built):
            code = carry_out(rule, dry)
            if code:
                failed.add(rule.target)
                sys.stdout.flush()
                print(f"mk: {rule.target} failed (exit code {code})", file=sys.stderr, flush=True)
                if not going_on:
                    return 1
            else:
                built.add(rule.target)
    for target in dict.fromkeys(targets):
        if target not in built and target not in failed:
            print(f"mk: {target} is up to date")
    return 1 if failed else 0


def carry_out(rule, dry):
    before = mtime(rule.target)
    for command in rule.commands:
        print(command, flush=True)
        code = 0 if dry else subprocess.call(["sh", "-c", command])
        if code:
            if mtime(rule.target) not in {before, None}:
                os.unlink(rule.target)
            return code
    return 0
