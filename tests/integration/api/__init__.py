"""The HTTP rim on a real server and a real Postgres."""
