"""Trees, candidate refs and champion commits, by git plumbing."""
