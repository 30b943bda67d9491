"""Unit tests of service.auth."""
