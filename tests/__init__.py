"""Tests, one folder a ring: unit, property, contract, sql, integration, e2e."""
