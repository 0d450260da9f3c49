from django.apps import AppConfig


class RoamingConfig(AppConfig):
    name = "roaming"

    def ready(self) -> None:
        from roaming import receivers  # noqa: F401 - connects them
        from roaming.outbound import our_requests  # noqa: F401
