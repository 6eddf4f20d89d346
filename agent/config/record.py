"""The configuration as the ledger keeps it: every key, and nothing secret."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from agent.config.campaign import Config

HIDDEN = "(an address, not recorded)"


def recorded(config: Config) -> dict[str, Any]:
    """Every key as JSON; a webhook's address and the user part of a base URL are left out."""
    raw = config.model_dump(mode="json", by_alias=True)
    webhook = raw["notify"]["webhook"]
    if webhook is not None and not webhook.startswith("$"):
        raw["notify"]["webhook"] = HIDDEN
    for models in raw["models"].values():
        for model in models:
            model["base_url"] = _without_user(model["base_url"])
    return raw


def _without_user(address: str | None) -> str | None:
    if address is None:
        return None
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
