"""Every decision, as pure functions and classes: gate, search, budget, boundary, flags."""
