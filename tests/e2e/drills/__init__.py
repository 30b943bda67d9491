"""Many processes on one database, and things that are killed meanwhile."""
