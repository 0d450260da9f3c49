"""Fetch the browser ahead of the tests, so that none of them waits for it."""

import sys

from tests.browser import chromium

if __name__ == "__main__":
    try:
        print(chromium.find().executable)
    except chromium.NoBrowserError as error:
        sys.exit(str(error))
