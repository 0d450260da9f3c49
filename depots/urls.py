from django.urls import path

from depots import uploads, views

app_name = "depots"

urlpatterns = [
    path("", views.sign_in, name="sign_in"),
    path("charger-files/<str:token>/", uploads.charger_upload, name="charger_upload"),
    path("charger-files/<str:token>/<path:name>", uploads.charger_upload, name="charger_upload_named"),
    path("account/sign-out/", views.sign_out, name="sign_out"),
    path("account/navigation/", views.navigation_part, name="navigation"),
    path("account/password/", views.change_password, name="password_change"),
    path("account/password/<str:uid>/<str:token>/", views.set_password, name="set_password"),
]
