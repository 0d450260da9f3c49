from django.apps import AppConfig


class RoamingConfig(AppConfig):
    name = "roaming"

    def ready(self) -> None:
        from roaming import asks, receivers  # noqa: F401 - connects them
