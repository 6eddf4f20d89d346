"""The durable record of a campaign: ledger, hash chain, mirror, lock."""
