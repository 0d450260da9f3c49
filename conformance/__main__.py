"""Check any OCPI platform: `python -m conformance --versions-url URL --token TOKEN_A`."""

import sys
from argparse import ArgumentParser

from conformance import command_line


def main() -> None:
    parser = ArgumentParser(prog="python -m conformance", description=command_line.HELP)
    command_line.add_arguments(parser)
    options = parser.parse_args()
    try:
        report = command_line.check(options)
    except command_line.UnusableOptionsError as error:
        parser.error(str(error))
    print(command_line.written(report, as_json=options.json))
    sys.exit(0 if report.is_conformant else 1)


if __name__ == "__main__":
    main()
