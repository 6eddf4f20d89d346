"""One report, described by what is particular to it."""

import csv
import sys
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Report:
    title: str
    heads: tuple  # of the three columns
    columns: tuple  # of the file: name of the group, value
    value: Callable
    show: Callable  # all values of a row -> text
    name: Callable = str.strip
    keep: Callable = lambda value: True
    rule: str = "-"
    order: int = -1  # -1: largest sum first
    last: str = "Total"
    last_if_empty: bool = True
    encoding: str = "utf-8"

    def text(self, rows):
        groups = self._groups(rows)
        width = max([len(name) for name in groups] + [len(self.heads[0])])

        def line(name, count, value):
            return name.ljust(width) + "  " + str(count).rjust(8) + "  " + value.rjust(10)

        rule = self.rule * (width + 22)
        lines = [self.title.center(width + 22).rstrip(), "", line(*self.heads), rule]
        for name in sorted(groups, key=lambda name: (self.order * sum(groups[name]), name)):
            lines.append(line(name, len(groups[name]), self.show(sum(groups[name]), len(groups[name]))))
        lines.append(rule)
        total = sum(sum(values) for values in groups.values())
        count = sum(len(values) for values in groups.values())
        if count or self.last_if_empty:
            lines.append(line(self.last, count, self.show(total, count)))
        return "\n".join(lines) + "\n"

    def _groups(self, rows):
        groups = {}
        for row in rows:
            name = self.name(row[self.columns[0]]) or "(none)"
            value = self.value(row[self.columns[1]] or 0)
            if self.keep(value):
                groups.setdefault(name, []).append(value)
        return groups

    def main(self, argv):
        if len(argv) != 1:
            print(f"usage: {self.title.lower()} FILE", file=sys.stderr)
            return 2
        with open(argv[0], newline="", encoding=self.encoding) as file:
            sys.stdout.write(self.text(list(csv.DictReader(file))))
        return 0
