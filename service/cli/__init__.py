"""The command `parley`: one file per command group, no logic."""
