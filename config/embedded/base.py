"""Django's PostgreSQL backend, which sees to it that the embedded server runs before it connects to it.

So every command that needs the database has it, and a command that does not (a simulator, `check`) starts nothing.
"""

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from config.embedded import postgres


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        server = postgres.use(settings.BERTH_VAR)
        return {**super().get_connection_params(), "host": str(server.sockets), "port": postgres.PORT}
