"""Static files are looked for once in a process: each test client has a middleware of its own that would look at them all."""

from whitenoise.base import StaticFile
from whitenoise.middleware import WhiteNoiseMiddleware

_look = WhiteNoiseMiddleware.add_files_from_finders
_found: dict[str, dict[str, StaticFile]] = {}


def add_found_files(middleware: WhiteNoiseMiddleware) -> None:
    """In place of WhiteNoiseMiddleware.add_files_from_finders, with the same end."""
    prefix = middleware.static_prefix
    if prefix not in _found:
        _look(middleware)
        _found[prefix] = dict(middleware.files)
    middleware.files.update(_found[prefix])
