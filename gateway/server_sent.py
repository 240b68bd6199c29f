"""Server-sent events, read from the pieces in which they arrive. Pure: no socket, no clock.

Source: HTML, "Server-sent events", the event stream's interpretation; GraphQL over Server-Sent Events, distinct connections mode.
"""


class TooLong(ValueError):
    """An event is larger than allowed."""


class Reader:
    """Puts events together. An event is its kind and its data; comments, ids and retry times are passed over."""

    def __init__(self, largest_bytes: int) -> None:
        self._largest, self._size = largest_bytes, 0
        self._line = bytearray()
        self._after_return = False
        self._kind, self._data = b"", list[bytes]()

    def feed(self, piece: bytes) -> list[tuple[bytes, bytes]]:
        """The events that are whole with this piece. Lines end in CR LF, LF or CR, wherever the pieces part.

        Raises TooLong.
        """
        if self._after_return and piece.startswith(b"\n"):
            piece, self._after_return = piece[1:], False
        if piece:
            self._after_return = piece.endswith(b"\r")
        found: list[tuple[bytes, bytes]] = []
        for line in piece.splitlines(keepends=True):
            self._size += len(line)
            if self._size > self._largest:
                raise TooLong
            self._line += line
            if line[-1:] in (b"\r", b"\n"):
                if self._line.startswith(b":"):  # a comment, of which a quiet stream may send any number
                    self._size -= len(self._line)
                event = self._take(bytes(self._line).rstrip(b"\r\n"))
                self._line.clear()
                if event is not None:
                    found.append(event)
        return found

    def _take(self, line: bytes) -> tuple[bytes, bytes] | None:
        """Take a whole line; an empty one ends an event."""
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"event":
                self._kind = value
            elif name == b"data":
                self._data.append(value)
            return None
        event = self._kind.strip(), b"\n".join(self._data)
        self._kind, self._data, self._size = b"", [], 0
        return event if event != (b"", b"") else None
