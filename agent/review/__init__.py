"""Review a campaign: what was accepted and why, what was not, and whether the record holds."""
