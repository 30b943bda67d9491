"""Random histories, crashes and clients on a real database."""
