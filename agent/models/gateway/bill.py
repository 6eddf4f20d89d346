"""What a call may cost, and what it did: every attempt that a provider may have generated is booked.

Three figures for the size of a prompt, each used where it is right:

- *estimate*: tokens, counted from classes of characters, about 1.4 times what tokenizers make of text and code. All
  limits on tokens reserve it: a provider's rate, a box's caps, the campaign's budget. What came is booked, so a limit
  can be exceeded once, by as much as the text of the calls under way is denser than any text or code: made of rare
  letters, it has up to three times as many tokens.
- *bound*: a token is at least one byte. The campaign's money is reserved by it, so that its limit holds whatever
  happens; it is booked where nobody says what was used.
- *reported*: what the provider says. It is booked if it can be true: above zero, and below the bound (with some room
  for text that the provider adds, and for answers longer than asked). Otherwise the bound is booked.

The window of a model caps the bound only where a server that we know enforces it: the embedded model's and the
vendors' own (no `base_url`). Other servers are believed nothing: many cut a long prompt and bill what they like.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from agent.config.models import ModelConfig
from agent.models.gateway import prices
from agent.models.ports import MISSHAPEN, BadCall, Budget, Hold, Json, Tokens

OUT_OF_BUDGET = "budget_exhausted"
TOO_LARGE = "exceeds_budget"
_BYTES_PER_TEMPLATE, _TOKENS_PER_TEMPLATE = 16, 6
_ADDED_BY_PROVIDER = 2048
_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_SPACES = b" \t\r\n"
_ASCII_REST = bytes(i for i in range(128) if i not in _LETTERS and i not in _SPACES)
_PER_LETTER, _PER_SPACE, _PER_OTHER, _PER_BYTE = 1 / 3, 0.3, 1.0, 0.75


def estimate(text: bytes) -> int:
    """About how many tokens a text has, rather more: one for three letters, for every digit and for every sign."""
    letters = len(text) - len(text.translate(None, _LETTERS))
    spaces = len(text) - len(text.translate(None, _SPACES))
    others = len(text) - len(text.translate(None, _ASCII_REST))
    beyond = len(text) - letters - spaces - others
    return math.ceil(letters * _PER_LETTER + spaces * _PER_SPACE + others * _PER_OTHER + beyond * _PER_BYTE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """One call before it is made. `output` is the most that its answers may take.

    `worth` is what the estimate costs, in dollars; `dollars` what the bound costs.
    """

    estimate: int
    bound: int
    output: int
    worth: float
    dollars: float

    @property
    def tokens(self) -> int:
        """What limits on tokens reserve."""
        return self.estimate + self.output

    @property
    def most(self) -> Tokens:
        """What is booked when nobody says what was used."""
        return Tokens(input=self.bound, output=self.output)


def size(model: ModelConfig, length: int, text: int, body: Json, wanted: int | None, *, answers: int = 1) -> Size:
    """The size of a request: its `length` in bytes, its `text` in estimated tokens.

    `wanted` is the limit of each of its `answers`, in tokens.
    """
    messages = body.get("messages", body.get("input"))
    parts = 1 + (len(messages) if isinstance(messages, list) else 1)
    bound = length + _BYTES_PER_TEMPLATE * parts
    if model.window is not None and enforces_window(model):
        bound = min(bound, model.window)
    guess = min(bound, text + _TOKENS_PER_TEMPLATE * parts)
    output = output_limit(model, wanted) * answers
    worth, dollars = prices.bound(model, guess, output), prices.bound(model, bound, output)
    return Size(estimate=guess, bound=bound, output=output, worth=worth, dollars=dollars)


def enforces_window(model: ModelConfig) -> bool:
    """Whether a prompt longer than the configured window is surely refused, so that it costs no more than that."""
    return model.provider == "embedded" or (model.provider in ("openai", "anthropic") and model.base_url is None)


def output_limit(model: ModelConfig, wanted: int | None) -> int:
    """Tokens that one answer may take: as the box asked, within the configured limit."""
    if wanted is None:
        return model.output_limit
    most = model.max_output or model.window
    return wanted if most is None else min(wanted, most)


def believed(read: Callable[[Json], Tokens | None], raw: Json, expected: Size) -> Tokens | None:
    """What an answer says that it used, if that can be true. `read` is the dialect's reader."""
    try:
        said = read(raw)
    except MISSHAPEN:
        return None
    if said is None or not 0 < said.input <= expected.bound + _ADDED_BY_PROVIDER:
        return None
    longest = max(expected.output, len(str(raw)))
    if not (0 if _says_nothing(raw) else 1) <= said.output <= longest:
        return None
    cached = min(said.cache_read, said.cache_write) >= 0 and said.cache_read + said.cache_write <= said.input
    return said if cached else Tokens(input=said.input, output=said.output)


def _says_nothing(raw: Json) -> bool:
    """Whether an answer of either native dialect is empty, so that no output is a true count."""
    if "content" in raw:
        return not raw["content"]
    messages = [choice.get("message") or {} for choice in raw.get("choices") or ()]
    return not any(value for message in messages for name, value in message.items() if name != "role")


class Columns(TypedDict):
    """The columns of a call's row that say what it cost."""

    tokens_in: int
    tokens_out: int
    cache_read: int
    cache_write: int
    dollars: float | None
    saved: float
    seconds: float


class Bill:
    """One call's attempts and what they cost. An attempt that is cut off is booked at its bound.

    `seconds` is the time with the provider, waiting between attempts included, without waiting in line. `told` hears of
    each attempt before it is sent.
    """

    def __init__(
        self,
        model: ModelConfig,
        expected: Size,
        budget: Budget | None,
        told: Callable[[Bill], None] = lambda _: None,
    ) -> None:
        self._model, self._size, self._budget, self._told = model, expected, budget, told
        self._hold: Hold | None = None
        self._open = False
        self.tokens, self.dollars, self.saved = Tokens(), 0.0, 0.0
        self.unpriced = False
        self.attempts, self.seconds = 0, 0.0

    @property
    def size(self) -> Size:
        """The call's size before it was made."""
        return self._size

    async def afford(self) -> None:
        """Reserve one attempt in the campaign's budget, if none is reserved.

        Raises:
            BadCall: the campaign cannot pay for it.
        """
        if self._budget is None or self._hold is not None:
            return
        self._hold = await self._budget.reserve(self._size.tokens, self._size.dollars)
        if self._hold is None:
            raise _unaffordable(self._budget.exhausted())

    def sent(self) -> None:
        """An attempt is on its way. Raises RecordBroken."""
        self._told(self)
        self._open = True
        self.attempts += 1

    def free(self) -> None:
        """The attempt cost nothing: the provider refused it, or never got it."""
        self._open = False

    def book(self, used: Tokens | None) -> None:
        """The attempt was generated; None for an unknown use, which is booked at its bound."""
        self._open = False
        tokens = used or self._size.most
        priced = prices.cost(self._model, tokens)
        self.saved += prices.saved(self._model, tokens)
        dollars = self._size.dollars if used is None else priced or 0.0
        self.unpriced |= priced is None
        self.tokens, self.dollars = self.tokens + tokens, self.dollars + dollars
        self._settle(tokens.total, dollars)

    def release(self) -> None:
        """Give back what is reserved: no attempt follows for a while, and others may need it meanwhile."""
        self._settle(0, 0.0)

    @property
    def worst(self) -> tuple[Tokens, float | None]:
        """What the call has cost if nothing more is heard of its next attempt; no dollars without a price."""
        most = self._size.most
        unpriced = self.unpriced or not prices.is_priced(self._model)
        return self.tokens + most, None if unpriced else self.dollars + self._size.dollars

    def columns(self) -> Columns:
        """What the row of a call says about its cost."""
        return Columns(
            tokens_in=self.tokens.input,
            tokens_out=self.tokens.output,
            cache_read=self.tokens.cache_read,
            cache_write=self.tokens.cache_write,
            dollars=None if self.unpriced else self.dollars,
            saved=self.saved,
            seconds=self.seconds,
        )

    def close(self) -> None:
        """No more attempts: one that was cut off is booked, and what is reserved is given back."""
        if self._open:
            self.book(None)
        self.release()

    def _settle(self, tokens: int, dollars: float) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.settle(tokens, dollars)


def _unaffordable(reason: str | None) -> BadCall:
    """Told without figures: how much others have spent is nothing that a box may know."""
    if reason is None:
        return BadCall(403, "this call may cost more than the campaign has left: ask for less", code=TOO_LARGE)
    return BadCall(403, reason.partition(" (")[0], code=OUT_OF_BUDGET)
