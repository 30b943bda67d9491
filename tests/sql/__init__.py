"""The database by itself: functions, triggers, views, roles, plans."""
