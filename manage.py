#!/usr/bin/env python
"""Berth's command line."""

import os
import signal
import sys

from config.call_frames import give_threads_room, with_frame_room


@with_frame_room
def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    give_threads_room()
    # A command that is asked to end does so in order: whoever leaves the embedded database last stops it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
