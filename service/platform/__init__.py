"""Users, tokens, organizations: plain tables."""
