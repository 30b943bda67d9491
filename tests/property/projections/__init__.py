"""Read models and the fold tell the same, however the log is cut."""
