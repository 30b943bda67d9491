"""The projector on a real server, and what goes wrong with it."""
