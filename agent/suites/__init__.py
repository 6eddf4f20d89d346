"""Task suites: loading, checking, grading. Trusted: what is read here decides every score."""
