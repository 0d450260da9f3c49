from importlib import import_module

from django.apps import AppConfig


class BookingsConfig(AppConfig):
    name = "bookings"

    def ready(self) -> None:
        import_module("bookings.receivers")
        import_module("bookings.pages.live.receivers")
        import_module("bookings.pages.live.bookings")
        import_module("bookings.pages.live.board")
        import_module("bookings.pages.live.meters")
