"""Stream management (XEP-0198) for stanzas that are written and read past slixmpp: counting and resuming.

A server that offers it keeps a lost connection's session for a while. Whoever comes back in time goes on
where it was, and each side sends again what the other has not counted. slixmpp negotiates; the stanzas
that agents exchange are counted here, as they never become slixmpp's objects.
"""

from typing import Any, NamedTuple

__all__ = ["Leftover", "StreamManagement"]

_ASK_EVERY = 10
"""Stanzas after which the server is asked how many it has."""

_WRAP = 2**32


class Leftover(NamedTuple):
    """What is left of a lost stream: how to resume it, and what the server has not counted."""

    session_id: str | None
    handled: int
    sent: int
    counted: int
    unacknowledged: tuple[Any, ...]

    def messages(self) -> list[str]:
        """Return the letters among what the server has not counted."""
        return [text for _, text in self.unacknowledged if isinstance(text, str)]


class StreamManagement:
    """The counters of one client's stream, kept in slixmpp's plugin."""

    def __init__(self, client: Any, leftover: Leftover | None = None) -> None:
        """Negotiate on a client, not connected yet; with a leftover, ask to resume that stream."""
        client.register_plugin("xep_0198")
        self._plugin = client["xep_0198"]
        self._client = client
        self._since_asked = 0
        if leftover is not None and leftover.session_id:
            plugin = self._plugin
            plugin.sm_id, plugin.handled = leftover.session_id, leftover.handled
            plugin.seq, plugin.last_ack = leftover.sent, leftover.counted
            plugin.unacked_queue.extend(leftover.unacknowledged)

    def leftover(self) -> Leftover:
        """Return what the next stream needs to go on from here."""
        plugin = self._plugin
        return Leftover(
            plugin.sm_id, plugin.handled, plugin.seq, plugin.last_ack, tuple(plugin.unacked_queue)
        )

    def note_read(self) -> None:
        """Count a stanza that was read past slixmpp."""
        if self._plugin.enabled_in:
            self._plugin.handled = (self._plugin.handled + 1) % _WRAP

    def note_written(self, stanza: str) -> None:
        """Count a stanza that was written past slixmpp, and ask now and then what has arrived."""
        plugin = self._plugin
        if not plugin.enabled_out:
            return
        plugin.seq = (plugin.seq + 1) % _WRAP
        plugin.unacked_queue.append((plugin.seq, stanza))
        self._since_asked += 1

    def ask_if_due(self) -> None:
        """Ask the server how many stanzas it has counted, after a number of them."""
        if self._plugin.enabled_out and self._since_asked >= _ASK_EVERY:
            self._since_asked = 0
            self._plugin.request_ack()
