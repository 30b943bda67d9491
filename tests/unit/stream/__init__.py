"""Frames, cursors and rings, without a connection."""
