"""Learning that the log moved: one listener, one tail per process."""
