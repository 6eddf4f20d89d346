"""Looks at a repository and proposes how its agent becomes a scaffold. Reads files; runs nothing of it."""
