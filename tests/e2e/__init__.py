"""The whole service as its users have it: a process, HTTP, signals."""
