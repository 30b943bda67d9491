"""PostgreSQL from the wheel: the default database, private to one data folder."""
