from django.urls import path

from depots import views

app_name = "depots"

urlpatterns = [
    path("", views.sign_in, name="sign_in"),
    path("account/sign-out/", views.sign_out, name="sign_out"),
    path("account/navigation/", views.navigation_part, name="navigation"),
    path("account/password/", views.change_password, name="password_change"),
    path("account/password/<str:uid>/<str:token>/", views.set_password, name="set_password"),
]
