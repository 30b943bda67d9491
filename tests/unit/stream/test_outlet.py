"""Clients that wait for their turn hear that their connection lives."""

from __future__ import annotations

from service.stream.outlet import Message, Outlet


class Peer:
    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def offer(self, chunk: bytes) -> bool:
        self.chunks.append(chunk)
        return True


async def send(_: Message) -> None:
    raise AssertionError("a beat goes past ASGI")


async def test_only_who_is_not_in_the_present_yet_is_told_by_the_beat() -> None:
    peer = Peer()
    outlet = Outlet(send, peer)
    outlet.beat(b": hb\n\n")
    outlet.opening = False
    outlet.beat(b": hb\n\n")
    assert peer.chunks == [b"6\r\n: hb\n\n\r\n"]


async def test_without_a_way_past_asgi_nothing_is_told() -> None:
    Outlet(send).beat(b": hb\n\n")
