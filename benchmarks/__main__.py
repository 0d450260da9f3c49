"""`python -m benchmarks [NAME …]`: each module in a process and on a database of its own, its results on standard output."""

from __future__ import annotations

import subprocess
import sys

from benchmarks import registry


def main(only: list[str]) -> int:
    try:
        modules = registry.chosen(only)
    except KeyError as unknown:
        print(f"There is no benchmark {unknown}. There are: {', '.join(registry.MODULES)}.", file=sys.stderr)
        return 2
    failed = 0
    for module, names in modules.items():
        command = [sys.executable, "-m", "benchmarks.process", module, *names]
        failed += subprocess.run(command, check=False).returncode != 0
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
