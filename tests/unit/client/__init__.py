"""Unit tests of service.client."""
