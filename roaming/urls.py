from django.urls import path

from roaming import pages

app_name = "roaming"

urlpatterns = [path("partners/", pages.partners, name="partners")]
