"""Live parts: what the model is saying right now, uncommitted, in es.live_parts."""
