"""What known families of models do not take, so that the first trial need not find out.

As of 28 November 2026, from the providers' documentation. Whatever is missing here is learned from a 400.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

AS_OF = "2026-11-28"
_SAMPLING = ("temperature", "top_p", "top_k")
_PENALTIES = ("presence_penalty", "frequency_penalty")


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Models whose name fits, after any `vendor/`. `drop`: not taken at all. `one_of`: only the first of these."""

    names: re.Pattern[str]
    drop: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()


def _family(names: str, drop: tuple[str, ...] = (), one_of: tuple[str, ...] = ()) -> Family:
    return Family(names=re.compile(names, re.IGNORECASE), drop=drop, one_of=one_of)


FAMILIES = (
    _family(
        r"(o[134]|gpt-5)(?!.*chat)([-.:].*)?$",
        (*_SAMPLING, *_PENALTIES, "stop", "logprobs", "top_logprobs", "logit_bias"),
    ),
    _family(r"claude-(opus-4[-.]([7-9]|\d\d)|(opus|sonnet|haiku)-[5-9]|mythos|fable)(?!\d{6})", _SAMPLING),
    _family(r"claude-(opus-4[-.][156]|(sonnet|haiku)-4[-.][56])(?!\d{6})", one_of=("temperature", "top_p")),
    _family(r"deepseek-(reasoner|r1)", (*_PENALTIES, "logprobs", "top_logprobs", "tool_choice")),
    _family(r"kimi-k(2[-.][5-9]|2-thinking|[3-9])", (*_SAMPLING, *_PENALTIES, "tool_choice")),
    _family(r"grok-(4|3-mini|code)", (*_PENALTIES, "stop")),
    _family(r"(qwq|qwen3.*thinking)", ("tool_choice",)),
)


def of(name: str) -> Family:
    """The family of a model; one that takes everything where it is not known."""
    short = name.rpartition("/")[2]
    return next((family for family in FAMILIES if family.names.match(short)), Family(names=re.compile("")))
