from django.apps import AppConfig
from dramatiq_postgres.django.apps import DramatiqPostgresConfig


class JobTablesConfig(DramatiqPostgresConfig):
    """The job queue's tables, without the broker its own config would build: ours is built below."""

    def ready(self) -> None:
        pass


class WiringConfig(AppConfig):
    """Chooses the job broker, then loads every app's actors."""

    name = "config"
    verbose_name = "Berth"

    def ready(self) -> None:
        from config import broker, checks, metrics  # noqa: F401 - checks register themselves

        broker.install()
        metrics.install()
