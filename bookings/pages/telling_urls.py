"""Pages about what people and systems are told."""

from django.urls import path

from bookings.pages.views import calendars, inbox, webhooks

app_name = "telling"

urlpatterns = [
    path("inbox/", inbox.messages, name="inbox"),
    path("inbox/read/", inbox.read_all, name="inbox_read"),
    path("inbox/<int:message_id>/open/", inbox.open_message, name="inbox_open"),
    path("notifications/settings/", inbox.notifications, name="notifications"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/add/", webhooks.add, name="webhook_add"),
    path("webhooks/<int:webhook_id>/", webhooks.webhook, name="webhook"),
    path("webhooks/<int:webhook_id>/pause/", webhooks.pause, name="webhook_pause"),
    path("webhooks/<int:webhook_id>/resumption/", webhooks.resume, name="webhook_resumption"),
    path("webhooks/<int:webhook_id>/test/", webhooks.test, name="webhook_test"),
    path("webhooks/<int:webhook_id>/removal/", webhooks.remove, name="webhook_removal"),
    path(
        "webhooks/<int:webhook_id>/deliveries/<int:delivery_id>/again/",
        webhooks.resend,
        name="webhook_again",
    ),
    path("calendars/", calendars.calendars, name="calendars"),
    path("calendars/add/", calendars.add, name="calendar_add"),
    path("calendars/<int:feed_id>/revocation/", calendars.revoke, name="calendar_revocation"),
    path("calendars/<str:secret>.ics", calendars.calendar_file, name="calendar_file"),
]
