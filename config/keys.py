"""The secret key of a checkout that was given none: made once, kept with its database, the same for every process."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config.embedded import postgres


def key_of_checkout(var: Path) -> str:
    """The key of the embedded database of this folder, made with the first call and kept as long as its data.

    A key that stands in the source would open every checkout's sessions and stored secrets. Raises ImproperlyConfigured
    where it cannot be kept.
    """
    path = postgres.EmbeddedServer(var).home / "secret_key"
    try:
        if not path.exists():
            _make(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"Set BERTH_SECRET_KEY: {path} cannot be used ({error}).") from None
    if len(key) < 50:
        raise ImproperlyConfigured(
            f"{path} holds no key of 50 characters; remove it or set BERTH_SECRET_KEY."
        )
    return key


def _make(path: Path) -> None:
    """Written whole under another name and linked: of several processes one wins, and none reads half a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
