"""A campaign in the browser, live."""
