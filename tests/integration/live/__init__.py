"""Live parts on a real database."""
