"""What a running campaign shows and hears: panel, status, notifications, control."""
