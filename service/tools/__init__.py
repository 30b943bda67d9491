"""Tools that the agent may call; one file each, listed in the registry."""
