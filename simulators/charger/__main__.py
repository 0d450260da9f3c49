"""Simulate chargers at any CSMS: `python -m simulators.charger --url ws://host/ocpp --identity CP1`."""

import logging
import sys
from argparse import ArgumentParser
from pathlib import Path

from simulators.charger import command_line
from simulators.charger.charger_file import UnreadableFile

URL = "ws://127.0.0.1:9000/ocpp"
FILE = Path("chargers.json")


def main() -> None:
    parser = ArgumentParser(prog="python -m simulators.charger", description=__doc__)
    command_line.add_arguments(parser, url=URL, file=str(FILE))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    try:
        if options.script:
            command_line.run_script(options, url=URL)
            return
        chargers = command_line.chargers(options, url=URL, file=FILE)
    except UnreadableFile as error:
        sys.exit(str(error))
    command_line.run(chargers, options)


if __name__ == "__main__":
    main()
