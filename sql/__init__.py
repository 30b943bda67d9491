"""The database as files: migrations, functions, triggers, views, roles."""
