"""The account the embedded server runs as, and folders that only it may enter."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured


class DatabaseUnavailable(ImproperlyConfigured):
    """The embedded server cannot run; the text says why and what to do about it."""


@dataclass(frozen=True)
class Account:
    """Our own, or `postgres` or `nobody` where we are root, as whom PostgreSQL refuses to run."""

    uid: int
    gid: int
    is_other: bool

    @classmethod
    def find(cls) -> Account:
        """Raises DatabaseUnavailable."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), is_other=False)
        for name in ("postgres", "nobody"):
            try:
                found = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(found.pw_uid, found.pw_gid, is_other=True)
        raise DatabaseUnavailable(
            "PostgreSQL does not run as root and there is no user 'nobody': run as another user."
        )

    def popen_options(self) -> dict[str, Any]:
        """What subprocess is told so that a program runs as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}

    def make_private(self, folder: Path) -> None:
        """Make a 0700 folder of this account, or refuse one that somebody else put there. Raises DatabaseUnavailable."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {self.uid, os.geteuid()}:
                raise DatabaseUnavailable(
                    f"{folder} is not ours. Remove it: the database's socket goes there."
                ) from None
        folder.chmod(0o700)
        if self.is_other:
            os.chown(folder, self.uid, self.gid)
