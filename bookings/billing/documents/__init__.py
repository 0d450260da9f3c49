"""Invoices as documents: a value becomes a PDF that carries its EN 16931 XML, and such a file becomes a value again.

Pure: no database, no clock, no settings. `document.py` holds the values and `issue.py` writes them; `received.py` reads.
"""
