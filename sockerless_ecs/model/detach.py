"""The keys by which somebody at a terminal leaves a process: how they are written, and how they are found."""

from __future__ import annotations

DEFAULT_KEYS = b"\x10\x11"
"""ctrl-p, ctrl-q."""
_DEL = 127
_CONTROL = {f"ctrl-{chr(code + 0x60)}": code for code in range(1, 27)} | {
    "ctrl-@": 0,
    "ctrl-[": 27,
    "ctrl-\\": 28,
    "ctrl-]": 29,
    "ctrl-^": 30,
    "ctrl-_": 31,
}


def parse_keys(text: str) -> bytes:
    """What `ctrl-p,ctrl-q` types; empty means Docker's default. Raises ValueError for what is no key."""
    return bytes(_code(key) for key in text.split(",")) if text else DEFAULT_KEYS


def _code(key: str) -> int:
    typed = key.encode()
    if len(typed) == 1:
        return typed[0]
    if key == "DEL":
        return _DEL
    if key not in _CONTROL:
        raise ValueError(f"Unknown character: '{key}'")
    return _CONTROL[key]


class DetachScanner:
    """Looks for the keys in what is typed, wherever it is cut; what may become them is held back."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""
        self.found = False
        """They were typed: nothing after them is for the process."""

    def feed(self, data: bytes) -> bytes:
        """What of this, and of what was held back, is for the process."""
        if self.found:
            return b""
        data = self._held + data
        at = data.find(self._keys)
        if at >= 0:
            self.found, self._held = True, b""
            return data[:at]
        held = next(
            (size for size in range(len(self._keys) - 1, 0, -1) if data.endswith(self._keys[:size])), 0
        )
        passed = len(data) - held
        self._held = data[passed:]
        return data[:passed]

    def rest(self) -> bytes:
        """What was held back, now that nothing more comes."""
        rest, self._held = self._held, b""
        return rest
