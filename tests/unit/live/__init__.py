"""Live parts, without a database."""
