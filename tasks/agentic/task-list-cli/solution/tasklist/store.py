import json
from pathlib import Path


class StoreError(Exception):
    """The message is for the user."""


class Store:
    """Tasks in a JSON file: `{"next": 4, "tasks": [...]}`, or as the first version wrote it, the plain list."""

    def __init__(self, path):
        self.path = Path(path)
        self.tasks, self.next = [], 1
        if self.path.exists():
            try:
                self._read(json.loads(self.path.read_text(encoding="utf-8")))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise StoreError(f"{path} is no task file") from error

    def _read(self, data):
        plain = isinstance(data, list)
        for task in data if plain else data["tasks"]:
            known = {"done": False, "priority": "normal", "due": None, **task}
            self.tasks.append({name: known[name] for name in ("id", "text", "done", "priority", "due")})
        last = max((int(task["id"]) for task in self.tasks), default=0)
        self.next = last + 1 if plain else int(data["next"])

    def add(self, text, priority, due):
        task = {"id": self.next, "text": text, "done": False, "priority": priority, "due": due}
        self.next += 1
        self.tasks.append(task)
        self.save()
        return task

    def find(self, number):
        for task in self.tasks:
            if task["id"] == number:
                return task
        raise StoreError(f"there is no task {number}")

    def done(self, numbers):
        for task in [self.find(number) for number in numbers]:
            task["done"] = True
        self.save()

    def remove(self, number):
        self.tasks.remove(self.find(number))
        self.save()

    def save(self):
        self.path.write_text(json.dumps({"next": self.next, "tasks": self.tasks}), encoding="utf-8")
