"""The command line: every command."""
