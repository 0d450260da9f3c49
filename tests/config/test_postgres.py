"""The embedded server: one for many commands, gone after the last, back after a kill."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.embedded import postgres
from config.embedded.postgres import DatabaseUnavailable, EmbeddedServer

# A command that uses the server of the folder in its first argument until its standard input closes.
COMMAND = """
import sys
from pathlib import Path
from config.embedded import postgres
server = postgres.use(Path(sys.argv[1]), durable=False)
print(server.pid(), flush=True)
sys.stdin.read()
"""


class Using:
    """Another process of ours that uses the server."""

    def __init__(self, var: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(var)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def server_pid(self) -> int:
        assert self.process.stdout
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate(timeout=120)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"
    for folder in (tmp_path / "var", tmp_path / "other"):
        server = EmbeddedServer(folder)
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)


def ask(var: Path, statement: str) -> object:
    server = EmbeddedServer(var)
    with psycopg.connect(
        host=str(server.sockets), port=postgres.PORT, user=postgres.OWNER, dbname=postgres.DATABASE
    ) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def test_commands_started_together_share_one_server_which_ends_with_the_last(var: Path) -> None:
    commands = [Using(var) for _ in range(4)]

    pids = {command.server_pid() for command in commands}

    assert len(pids) == 1
    for command in commands[:-1]:
        command.end()
    assert ask(var, "SELECT 1") == (1,)
    commands[-1].end()
    assert EmbeddedServer(var).pid() is None
    assert not EmbeddedServer(var).sockets.exists()


def test_a_server_left_by_a_killed_command_is_reused_then_ended(var: Path) -> None:
    killed = Using(var)
    pid = killed.server_pid()
    killed.kill()
    assert EmbeddedServer(var).pid() == pid

    next_command = Using(var)
    assert next_command.server_pid() == pid

    next_command.end()
    assert EmbeddedServer(var).pid() is None


def test_what_was_committed_survives_a_kill_of_the_server(var: Path) -> None:
    command = Using(var)
    pid = command.server_pid()
    ask(var, "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(pid, signal.SIGKILL)

    another = Using(var)
    assert another.server_pid() != pid

    assert ask(var, "SELECT answer FROM kept") == (42,)
    another.end()
    command.end()


def test_two_checkouts_have_servers_of_their_own(var: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    first, second = Using(var), Using(other)
    try:
        assert first.server_pid() != second.server_pid()
        ask(var, "CREATE TABLE mine (x int)")
        assert ask(other, "SELECT to_regclass('mine')") == (None,)
    finally:
        first.end()
        second.end()


def test_the_pointer_file_names_the_private_data_directory(var: Path) -> None:
    command = Using(var)
    command.server_pid()

    data = Path((var / "database").read_text().strip())

    assert (data / "PG_VERSION").read_text().strip() == str(postgres.MAJOR)
    for folder in (data, EmbeddedServer(var).sockets):
        assert folder.stat().st_mode & 0o077 == 0
    command.end()


def test_data_of_another_major_version_is_refused_by_name(var: Path) -> None:
    server = EmbeddedServer(var)
    (server.home / "data-17").mkdir(parents=True)

    with pytest.raises(DatabaseUnavailable, match=r"PostgreSQL 17.*brings 18"):
        server.start()


def test_a_socket_folder_of_somebody_else_is_refused(var: Path, tmp_path: Path) -> None:
    server = EmbeddedServer(var, durable=False)
    server.sockets.symlink_to(tmp_path)

    with pytest.raises(DatabaseUnavailable, match="is not ours"):
        server.start()

    server.sockets.unlink()


def test_a_stale_process_id_is_not_mistaken_for_the_server(var: Path) -> None:
    server = EmbeddedServer(var)
    server.data.mkdir(parents=True)
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n" + "\n" * 6 + "ready\n")

    assert server.pid() is None
    assert not server.is_running()
