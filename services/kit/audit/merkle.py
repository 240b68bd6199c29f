"""The Merkle root of a sequence, grown leaf by leaf in as much memory as its length has bits. Source: RFC 6962, 2.1."""

import hashlib


class Tree:
    """Leaves so far: for each complete subtree its number of leaves and its hash, the larger ones first."""

    def __init__(self) -> None:
        self._complete: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """The next leaf."""
        size, node = 1, hashlib.sha256(b"\0" + leaf).digest()
        while self._complete and self._complete[-1][0] == size:
            node = _above(self._complete.pop()[1], node)
            size *= 2
        self._complete.append((size, node))

    def root(self) -> bytes:
        """The root of all leaves so far."""
        if not self._complete:
            return hashlib.sha256().digest()
        *larger, (_, node) = self._complete
        for _, left in reversed(larger):
            node = _above(left, node)
        return node


def _above(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()
