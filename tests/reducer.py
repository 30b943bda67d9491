"""The client's fold, strict: what a whole stream cannot have fails the test."""

from __future__ import annotations

from service.client.view import ChatView


class ChatOnScreen(ChatView):
    """Every message and every part comes exactly once, in order."""

    def unexpected(self, what: str) -> None:
        raise AssertionError(what)
