"""Who may pass.

Limiter(rate, burst, quota, clock, calendar): `rate` tokens a second flow into a bucket of `burst` tokens, full at the start. `quota` is the number
of accepted requests per calendar day. `clock()` gives seconds (monotonic, any start), `calendar()` the current date; both are injected.

allow(caller, cost=1): True, and `cost` tokens and one of the quota are taken, or False, and nothing is taken at all. A cost above
`burst` can never pass: ValueError, as for a cost that is not positive. Fractions of tokens count: at 0.5 a second, one token is there after two seconds
however often one asked meanwhile.

wait(caller, cost=1): seconds until allow could be True, 0.0 if it is now; None if today's quota is used up. Takes nothing.

remaining(caller): (whole tokens now, accepted requests left today).

If the clock goes backwards, nobody loses or gains tokens. A caller whose bucket is full again and who has used nothing of today's quota is
forgotten: `len(limiter)` is the number of callers that are remembered, as of the last call of allow.
"""

from limits.limiter import Limiter

__all__ = ["Limiter"]
