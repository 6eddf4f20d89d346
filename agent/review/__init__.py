"""Reading a campaign: what was accepted, why, and what became of everything else."""
