"""What holds of tools, whatever they say."""
