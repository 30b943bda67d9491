"""The chat: its state, the table of transitions, decide and evolve."""
