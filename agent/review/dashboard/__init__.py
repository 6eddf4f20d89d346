"""The campaign in a browser, live."""
