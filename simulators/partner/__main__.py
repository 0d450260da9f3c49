"""Simulate a partner network at any OCPI platform: `python -m simulators.partner --register URL --token TOKEN_A`."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from simulators.partner import command_line

FOLDER = Path()


def main() -> None:
    parser = ArgumentParser(prog="python -m simulators.partner", description=command_line.HELP)
    command_line.add_arguments(parser, folder="the current folder")
    options = parser.parse_args()
    try:
        partner = command_line.make_partner(options, folder=FOLDER, say=_say)
    except command_line.Unusable as error:
        print(error, file=sys.stderr)
        sys.exit(2 if error.is_usage else 1)
    command_line.run(partner, options, folder=FOLDER)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
