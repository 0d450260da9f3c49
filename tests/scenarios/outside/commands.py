"""An operator's commands without the second in which each of them loads Django: forked from a process that has.

Everything else is as if they were typed: `manage.py` runs in a process of its own, with its own arguments, standard
streams and exit code, in the environment of the Berth it belongs to. Tests of the command line itself start it as it is.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 90
SEPARATOR = "\0"


@dataclass
class Done:
    """What a command left."""

    code: int
    stdout: str
    stderr: str


class Commands:
    """The commands of one Berth. Several threads may run some at once."""

    def __init__(self, checkout: Path, environment: Mapping[str, str]) -> None:
        self._address = Path(tempfile.mkdtemp()) / "commands"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._address))
            listener.listen()
            # It ends when its standard input does, so with the process of the test at the latest.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(listener.fileno())],
                cwd=checkout,
                env=dict(environment),
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
            )

    def run(self, *words: str) -> Done:
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            socket.socket(socket.AF_UNIX) as asked,
        ):
            asked.settimeout(PATIENCE_S)
            asked.connect(str(self._address))
            socket.send_fds(asked, [SEPARATOR.join(words).encode()], [out.fileno(), err.fileno()])
            code = asked.recv(16)
            assert code, f"the process that runs {words[0]} ended"
            out.seek(0)
            err.seek(0)
            return Done(int(code), out.read().decode(), err.read().decode())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._address.unlink()
        self._address.parent.rmdir()


def serve(listener: socket.socket) -> None:
    """Fork for whoever connects, until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        asked, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with asked:
                _answer(asked)
            os._exit(0)
        asked.close()


def _answer(asked: socket.socket) -> None:
    """Run the command in a child, which ends as any program does, and tell its exit code."""
    words, (out, err), _, _ = socket.recv_fds(asked, 65536, 2)
    child = os.fork()
    if child == 0:
        asked.close()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.argv = ["manage.py", *words.decode().split(SEPARATOR)]
        _end_with(_manage())
    _, status = os.waitpid(child, 0)
    asked.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _manage() -> int:
    import manage

    try:
        manage.main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # as the interpreter would
        traceback.print_exc()
        return 1
    return 0


def _end_with(code: int) -> None:
    """The end of a program, with what it asked to be done then, but not of the two it was forked from."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _load() -> None:
    """What every command would load itself; nothing of it connects to the database."""
    import django
    from django.core import checks, management

    django.setup()
    checks.run_checks()
    for name, app in management.get_commands().items():
        if not app.startswith("django."):
            management.load_command_class(app, name)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    _load()
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        serve(listening)
