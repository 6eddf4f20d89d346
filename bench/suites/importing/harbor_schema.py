"""Writes the JSON Schema of Harbor's task.toml, as Harbor's own models give it.

Needs Python 3.12 or later with the package `harbor`, which Ratchet itself does not depend on:

    python3.12 -m venv harbor-venv && harbor-venv/bin/pip install harbor
    harbor-venv/bin/python bench/suites/importing/harbor_schema.py > agent/suites/importing/harbor.schema.json

Then `pytest tests/suites/importing/test_harbor_cases.py` names every field that has no fate yet.
"""

from __future__ import annotations

import importlib
import json
import sys

TaskConfig = importlib.import_module("harbor.models.task.config").TaskConfig
sys.stdout.write(json.dumps(TaskConfig.model_json_schema(), indent=1) + "\n")
