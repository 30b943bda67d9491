"""Unit tests of service.platform."""
