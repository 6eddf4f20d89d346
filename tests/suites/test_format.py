"""The published JSON Schemas are what the loader accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from agent.base import yaml
from agent.base.errors import UserError
from agent.suites.format import SCHEMAS, schema
from agent.suites.loader import load_suite


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_the_published_schema_is_the_one_of_the_source(checkout: Path, kind: str) -> None:
    assert (checkout / "docs" / "schema" / f"{kind}.json").read_text(encoding="utf-8") == schema(kind)


def test_every_field_is_explained_in_the_schema_and_in_the_documentation(checkout: Path) -> None:
    told = (checkout / "docs" / "suites.md").read_text(encoding="utf-8")
    for model in SCHEMAS.values():
        for name, field in model.model_fields.items():
            assert field.description, name
            assert f"`{name}`" in told, name


def test_an_editor_accepts_the_shipped_suite(checkout: Path) -> None:
    validator = Draft202012Validator(json.loads(schema("suite")))
    assert not list(validator.iter_errors(yaml.load(checkout / "tasks" / "starter" / "suite.yaml")))


@pytest.mark.parametrize(
    "wrong", ["nmae: x", "name: X y", "defaults: {user: 0}", "defaults: {network: host}", "tasks: [{id: a}]"]
)
def test_what_the_schema_refuses_the_loader_refuses(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "suite.yaml").write_text(wrong if "name:" in wrong else f"name: x\n{wrong}\n")
    raw = yaml.load(tmp_path / "suite.yaml")
    assert list(Draft202012Validator(json.loads(schema("suite"))).iter_errors(raw))
    with pytest.raises(UserError):
        load_suite(tmp_path)
