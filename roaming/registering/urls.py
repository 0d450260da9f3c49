from django.urls import path

from roaming.registering import views

app_name = "registering"

REGISTRATION = "partners/<int:partner_id>/registration/"
urlpatterns = [
    path("partners/new/", views.new, name="new_partner"),
    path("partners/invitations/", views.invite, name="invite"),
    path("partners/connections/", views.connect, name="connect"),
    path(REGISTRATION, views.registration, name="registration"),
    path(f"{REGISTRATION}check/", views.check, name="connection_check"),
    path(f"{REGISTRATION}invitation/", views.invite_again, name="invitation"),
    path(f"{REGISTRATION}tokens/", views.change_tokens, name="token_change"),
    path(f"{REGISTRATION}suspension/", views.suspend, name="suspension"),
    path(f"{REGISTRATION}suspension/lifting/", views.lift_suspension, name="suspension_lifting"),
    path(f"{REGISTRATION}leaving/", views.leave, name="leaving"),
]
