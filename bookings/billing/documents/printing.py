"""An invoice as a PDF/A-3b for people: a summary on the first page, every line behind it.

The page is `invoice.typ`, set by typst in fonts of its own, so that it looks the same on a machine without any. What is
printed is made ready here, as one JSON value that the page takes for text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime, time
from functools import cache
from importlib.resources import files
from typing import Any, Final

import typst
from text_unidecode import unidecode

from bookings.billing.documents.cii import text
from bookings.billing.documents.document import InvoiceDocument
from bookings.billing.documents.printed_words import printed_words

# typst keeps what its last ten compilations reckoned, 40 MB of each long invoice. No other is ever like it, so blank pages
# (3 ms each) push it out.
_COMPILATIONS_REMEMBERED: Final = 10
# Scripts of typst's own fonts and what stands between words; PDF/A has no place for a sign without a glyph.
_WITHOUT_GLYPH: Final = re.compile(
    "[^\n\x20-\x7e\xa0-\u036f\u0384-\u038a\u038c\u038e-\u03a1\u03a3-\u04ff\u1e00-\u1eff\u200b\u2010-\u2027\u20a0-\u20bf]"
)


def write_pdf(document: InvoiceDocument) -> bytes:
    """A PDF/A-3b without its XML. Not tagged for screen readers: tags make it six times as large, a megabyte for 400 lines."""
    compiler = typst.Compiler(
        files("bookings.billing.documents").joinpath("invoice.typ").read_bytes(),
        font_paths=_fonts(),
        sys_inputs={"document": json.dumps(_printable(printed_words(document)))},
    )
    timestamp = datetime.combine(document.issued_on, time(), UTC)
    printed = compiler.compile(format="pdf", pdf_standards=["a-3b"], pdf_tags=False, timestamp=timestamp)
    for _ in range(_COMPILATIONS_REMEMBERED):
        compiler.compile(b" ", format="svg")
    assert isinstance(printed, bytes)
    return printed


@cache
def _fonts() -> Any:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True)


def _printable(value: Any) -> Any:
    """Every text in signs that the fonts have: other scripts in Latin letters, what has none of these as "?"."""
    if isinstance(value, str):
        composed = unicodedata.normalize("NFC", text(value))
        return _WITHOUT_GLYPH.sub(lambda sign: unidecode(sign[0]).strip() or "?", composed)
    if isinstance(value, dict):
        return {name: part if name == "qr" else _printable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(part) for part in value]
    return value
