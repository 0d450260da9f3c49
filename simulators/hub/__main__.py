"""Simulate a hub between OCPI platforms: `python -m simulators.hub --party FR*SIM --invite`."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from simulators.hub import command_line
from simulators.partner.command_line import Unusable


def main() -> None:
    parser = ArgumentParser(prog="python -m simulators.hub", description=command_line.HELP)
    command_line.add_arguments(parser)
    options = parser.parse_args()
    try:
        hub = command_line.make_hub(options, folder=Path(), say=_say)
    except Unusable as error:
        print(error, file=sys.stderr)
        sys.exit(2 if error.is_usage else 1)
    command_line.run(hub, options)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
