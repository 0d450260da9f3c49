"""The XML inside a PDF that somebody sent us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from bookings.billing.documents import pdf_attachment
from bookings.billing.errors import DocumentUnreadable

LARGEST_PDF: Final = 20 * 1024 * 1024


def embedded_xml(pdf: bytes) -> bytes:
    """The XML attached to a PDF, read by a process with limits. Raises DocumentUnreadable."""
    if len(pdf) > LARGEST_PDF:
        raise DocumentUnreadable(f"The PDF is larger than {LARGEST_PDF // 1024**2} MB.")
    program = [sys.executable, "-I", str(Path(pdf_attachment.__file__))]
    try:
        read = subprocess.run(
            program, input=pdf, capture_output=True, timeout=3 * pdf_attachment.SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DocumentUnreadable("Reading the PDF takes too long.") from error
    if read.returncode == pdf_attachment.NOTHING_ATTACHED:
        raise DocumentUnreadable("The PDF has no invoice as XML attached to it; its figures can be typed in.")
    if read.returncode == pdf_attachment.LOCKED:
        raise DocumentUnreadable("The PDF is locked by a password.")
    if read.returncode:
        raise DocumentUnreadable("The PDF is damaged, or too large to be read.")
    return read.stdout
