"""Commands: requests to change, which may be rejected. Never stored."""
