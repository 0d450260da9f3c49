from importlib import import_module

from django.apps import AppConfig


class BookingsConfig(AppConfig):
    name = "bookings"

    def ready(self) -> None:
        import_module("bookings.receivers")
        # After those: a booking has followed its session before it is billed.
        import_module("bookings.billing.receivers")
        import_module("bookings.pages.live.receivers")
        import_module("bookings.pages.live.bookings")
        import_module("bookings.pages.live.board")
        import_module("bookings.pages.live.meters")
        import_module("bookings.pages.live.inbox")
