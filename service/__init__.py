"""Parley: the write side, the HTTP API and the agent."""
