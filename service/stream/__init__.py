"""Following a chat: frames, cursors, one ring per followed chat."""
