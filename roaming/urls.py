from django.urls import path

from roaming.console import changing_views as changing
from roaming.console import views

app_name = "roaming"

PARTNER = "partners/<int:partner_id>/"
urlpatterns = [
    path("partners/", views.partners, name="partners"),
    path("partners/sandbox/", changing.start_sandbox, name="sandbox"),
    path(PARTNER, views.partner, name="partner"),
    path(f"{PARTNER}messages/", views.message_list, name="messages"),
    path(f"{PARTNER}messages/<int:message_id>/", views.message, name="message"),
    path(f"{PARTNER}deviations/<int:deviation_id>/", views.deviation, name="deviation"),
    path(f"{PARTNER}deviations/clearing/", changing.clear_deviations, name="deviations_clearing"),
    path(f"{PARTNER}deliveries/", views.delivery_list, name="deliveries"),
    path(f"{PARTNER}deliveries/<int:delivery_id>/try/", changing.try_delivery_now, name="delivery_try"),
    path(f"{PARTNER}deliveries/<int:delivery_id>/again/", changing.send_again, name="delivery_again"),
    path(f"{PARTNER}pause/", changing.pause, name="pause"),
    path(f"{PARTNER}resumption/", changing.resume, name="resumption"),
    path(f"{PARTNER}try/", changing.try_now, name="try_now"),
    path(f"{PARTNER}resync/", changing.resync, name="resync"),
    path(f"{PARTNER}comparison/", views.comparison, name="comparison"),
    path(f"{PARTNER}comparison/new/", changing.compare, name="comparing"),
    path(f"{PARTNER}comparison/repair/", changing.repair, name="comparison_repair"),
    path(f"{PARTNER}switches/", changing.switches, name="switches"),
    path(f"{PARTNER}notes/", changing.notes, name="notes"),
    path(f"{PARTNER}unmatched/matching/", changing.match_again, name="unmatched_matching"),
    path(f"{PARTNER}unmatched/<int:object_id>/aside/", changing.set_aside, name="unmatched_aside"),
]
