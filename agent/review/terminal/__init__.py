"""What the commands print: log, show, status, summary, calls, verify."""
