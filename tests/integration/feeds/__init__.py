"""Raw feeds, watchers, tickets, and read your writes, over HTTP."""
