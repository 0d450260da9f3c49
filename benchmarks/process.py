"""`python -m benchmarks.process MODULE NAME …`: one module of benchmarks, with Django set up on a fresh database.

Whatever the code measured prints goes to standard error; standard output has results alone.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module

from benchmarks import database


def main(module: str, names: list[str]) -> int:
    results, sys.stdout = sys.stdout, sys.stderr
    # Its own loops are measured by benchmarks from one thread each.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with database.fresh(module):
        try:
            for result in import_module(f"benchmarks.{module}").run(names):
                print(result.line(), file=results, flush=True)
        except Exception:
            traceback.print_exc()
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
