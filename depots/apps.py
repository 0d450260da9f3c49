from django.apps import AppConfig


class DepotsConfig(AppConfig):
    name = "depots"
