"""What all parts of campaign.yaml have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the file: no unknown keys, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
