"""The platform's state: one JSON file."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulators.partner.ocpi_format import Json


class StateFile:
    """Written whole and moved into place, so that a kill leaves the old state or the new one."""

    def __init__(self, file: Path) -> None:
        """Raises OSError, or ValueError for a file that is not JSON."""
        self._file = file
        self._lock = threading.RLock()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._text = file.read_text() if file.exists() else "{}"
        json.loads(self._text)

    def get_all(self) -> Json:
        with self._lock:
            state: Json = json.loads(self._text)
            return state

    def get(self, name: str, default: Any = None) -> Any:
        return self.get_all().get(name, default)

    @contextmanager
    def changing(self) -> Iterator[Json]:
        """The state, to be changed in place; nothing is kept when the block raises."""
        with self._lock:
            state = json.loads(self._text)
            yield state
            text = json.dumps(state, indent=1)
            if text != self._text:
                fresh = self._file.with_suffix(".new")
                fresh.write_text(text)
                fresh.chmod(0o600)
                os.replace(fresh, self._file)
                self._text = text
