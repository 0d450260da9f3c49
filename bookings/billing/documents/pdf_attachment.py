"""Run as a program of its own by `received.py`: a PDF on standard input, the XML attached to it on standard output.

A PDF can be made to cost its reader hours or gigabytes; this process may have neither, and nothing else is in it.
"""

import io
import resource
import sys

# Names that Factur-X, ZUGFeRD and XRechnung prescribe.
NAMES = {"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"}
SECONDS, BYTES = 10, 1024**3
NOTHING_ATTACHED, LOCKED = 3, 4


def main() -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    from pypdf import PdfReader  # whoever starts this program has no need of it

    reader = PdfReader(io.BytesIO(sys.stdin.buffer.read()))
    if reader.is_encrypted and not reader.decrypt(""):
        return LOCKED
    attached = {file.name.lower(): file for file in reader.attachment_list}
    named = next((file for name, file in attached.items() if name in NAMES), None)
    if named is None:
        named = next((file for name, file in attached.items() if name.endswith(".xml")), None)
    if named is None:
        return NOTHING_ATTACHED
    sys.stdout.buffer.write(named.content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
