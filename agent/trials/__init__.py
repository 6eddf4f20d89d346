"""One scaffold on one task: solve in one box, grade in another."""
