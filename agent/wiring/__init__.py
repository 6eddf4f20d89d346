"""Where the parts are put together, and nowhere else.

`campaign` for a campaign that writes; `beside` for trials and proposals beside it, whose record is thrown away unless
a ledger is given to keep it; `program` for a program that is tried with models that cost nothing; `trials` has what
all of them need.
"""
