"""What holds of any chat, whatever was asked of it."""
