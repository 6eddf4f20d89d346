"""The server between boxes and providers: sessions, limits, shared answers, record."""
