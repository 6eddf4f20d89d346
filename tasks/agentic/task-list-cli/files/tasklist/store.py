import json
from pathlib import Path


class Store:
    """A list of tasks in a JSON file."""

    def __init__(self, path):
        self.path = Path(path)
        self.tasks = json.loads(self.path.read_text()) if self.path.exists() else []

    def add(self, text):
        task = {"id": len(self.tasks) + 1, "text": text}
        self.tasks.append(task)
        self.save()
        return task

    def save(self):
        self.path.write_text(json.dumps(self.tasks))
