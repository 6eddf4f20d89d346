"""What a call costs: genai-prices' table, or the price in the configuration."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from agent.base.errors import UserError
from agent.base.types import Caps
from agent.config.models import ModelConfig, ModelsConfig
from agent.models.ports import Json, Tokens

_MILLION = 1_000_000
_FREE = ("embedded", "scripted", "replay")
_HOSTS = {"openai": "openai", "anthropic": "anthropic"}


def _from_table(model: ModelConfig, tokens: Tokens) -> float | None:
    import genai_prices  # noqa: PLC0415 - 30 ms that `ratchet --help` need not pay

    usage = genai_prices.Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read or None,
        cache_write_tokens=tokens.cache_write or None,
    )
    try:
        if model.base_url is None:
            priced = genai_prices.calc_price(usage, model.model, provider_id=_HOSTS[model.provider])
        else:
            priced = genai_prices.calc_price(usage, model.model, provider_api_url=model.base_url)
    except (LookupError, ValueError):
        return None
    return float(priced.total_price)


def _from_config(model: ModelConfig, tokens: Tokens) -> float | None:
    price = model.price
    if price is None:
        return None
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    plain = tokens.input - tokens.cache_read - tokens.cache_write
    paid = plain * price.input + tokens.cache_read * read + tokens.cache_write * write
    return (paid + tokens.output * price.output) / _MILLION


def cost(model: ModelConfig, tokens: Tokens) -> float | None:
    """Dollars for these tokens; None if nobody knows the price."""
    if model.price is not None:
        return _from_config(model, tokens)
    if model.provider in _FREE:
        return 0.0
    return _from_table(model, tokens)


@cache
def is_priced(model: ModelConfig) -> bool:
    """Whether a price is known. Asked once a model: the table takes a third of a millisecond."""
    return cost(model, Tokens(input=1000, output=1000)) is not None


def saved(model: ModelConfig, tokens: Tokens) -> float:
    """Dollars that the provider's prompt cache saved; negative where writing to it cost more, 0 without a price."""
    if not tokens.cache_read and not tokens.cache_write:
        return 0.0
    plain, paid = cost(model, Tokens(input=tokens.input, output=tokens.output)), cost(model, tokens)
    return plain - paid if plain is not None and paid is not None else 0.0


def bound(model: ModelConfig, tokens_in: int, tokens_out: int) -> float:
    """The most that a call of this size can cost; 0 when the price is unknown."""
    plain = cost(model, Tokens(input=tokens_in, output=tokens_out)) or 0.0
    written = cost(model, Tokens(input=tokens_in, output=tokens_out, cache_write=tokens_in)) or 0.0
    return max(plain, written)


def unknown_prices(models: ModelsConfig, role: str | None = None) -> list[str]:
    """`provider/model` of every model, or of a role's, without a known price."""
    asked = models.all() if role is None else models.of(role)
    return [f"{m.provider}/{m.name}" for m in asked if not is_priced(m)]


def check_caps(models: ModelsConfig, caps: Caps) -> None:
    """Refuse a campaign whose only limit is money that cannot be counted.

    Raises:
        UserError: a price is unknown and neither tokens nor calls are capped.
    """
    unknown = unknown_prices(models)
    if unknown and caps.dollars is not None and caps.tokens is None and caps.calls is None:
        fix = "Set `price` on the model, or cap tokens or calls as well"
        raise UserError("budget.dollars", f"no price is known for {', '.join(unknown)}", fix)


def snapshot(models: ModelsConfig) -> Json:
    """The prices in force, dollars per million tokens, to be stored with the campaign."""
    rates: Json = {}
    for model in models.all():
        rates[f"{model.provider}/{model.name}"] = {
            "input": cost(model, Tokens(input=_MILLION)),
            "output": cost(model, Tokens(output=_MILLION)),
            "cache_read": cost(model, Tokens(input=_MILLION, cache_read=_MILLION)),
        }
    return {"table": f"genai-prices {version('genai-prices')}", "dollars_per_million": rates}
