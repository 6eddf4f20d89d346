from dataclasses import dataclass

from cron.fields import LIMITS, read_field


@dataclass
class Entry:
    fields: dict
    command: str


def read_table(text):
    entries = []
    for line in text.splitlines():
        if line.strip():
            *fields, command = line.split(None, 5)
            entries.append(Entry({name: read_field(name, field) for name, field in zip(LIMITS, fields)}, command))
    return entries
