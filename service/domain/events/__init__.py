"""Events: what happened. One union per category; `chat` is the first."""
