"""What these tests wait for."""

from __future__ import annotations

from service.client.shapes import Chat
from service.testing.parley import Parley


async def speaking(parley: Parley, chat: Chat) -> None:
    """The model has begun to answer."""
    await parley.shows(
        chat, lambda view: view.preview is not None and view.preview.text != ""
    )
