"""Following chats on a real database."""
