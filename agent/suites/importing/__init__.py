"""Importers: task sets in the formats that people already have become suites in the native format.

A task is taken whole, or refused by the name of the feature that is not supported. Input that is broken or
hostile stops the import with file and line, and nothing is written.
"""
