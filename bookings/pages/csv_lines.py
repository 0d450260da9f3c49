"""CSV that is sent as it is written."""

from __future__ import annotations


class Lines:
    """A file for csv.writer that gives back each line."""

    def write(self, text: str) -> str:
        return text
