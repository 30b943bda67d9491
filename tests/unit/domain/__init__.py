"""Events, commands, decide and evolve."""
