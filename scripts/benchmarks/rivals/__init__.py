"""What we are measured against: the same work done in another way."""
