"""The scale test on values."""
