"""Users, tokens, providers, models, settings: plain tables, audited in the log."""
