"""The files in docker/, as far as they can be checked without an engine."""
