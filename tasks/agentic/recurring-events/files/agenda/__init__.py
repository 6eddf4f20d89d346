from agenda.book import between, conflicts, next_after
from agenda.rule import Event, Rule

__all__ = ["Event", "Rule", "between", "conflicts", "next_after"]
