"""Pure: events, commands, decide, evolve. No I/O, no clock, no random numbers."""
