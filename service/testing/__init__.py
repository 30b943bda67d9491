"""Parley for other people's tests: a running service, a model that a test scripts."""
