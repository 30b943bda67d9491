"""The test kit without a service."""
