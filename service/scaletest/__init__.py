"""Many chats at once against a running service: how fast, and whether all is right."""
