import subprocess
import sys

from mk.graph import order
from mk.stale import stale


def build(rules, target, dry):
    built = set()
    for name in order(rules, target):
        rule = rules.get(name)
        if rule and stale(rule, built):
            for command in rule.commands:
                print(command)
                if not dry and subprocess.call(command, shell=True):
                    print(f"mk: {name} failed")
                    sys.exit(1)
            built.add(name)
    if not built:
        print(f"mk: {target} is up to date")
