"""A campaign written to files: one HTML page, and tables for notebooks."""
