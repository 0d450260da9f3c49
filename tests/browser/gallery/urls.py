"""Berth's addresses plus one page that shows every component once. Tests only: no installation serves it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path
from django.utils.cache import patch_vary_headers

from bookings.models import BookingStatus, Enforcement
from depots import pages

TEMPLATES = Path(__file__).parent / "templates"
NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


class SearchForm(forms.Form):
    depot = forms.ChoiceField(choices=[("NF-HAM", "Hamburg Altenwerder"), ("NF-KAS", "Kassel Süd")])
    starts_at = forms.DateTimeField(
        label="From",
        help_text="Local time at the depot.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )
    ends_at = forms.DateTimeField(label="To", widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))
    note = forms.CharField(required=False, max_length=10)
    trailer = forms.BooleanField(label="With trailer", required=False)


def gallery(request: HttpRequest) -> HttpResponse:
    form = SearchForm({"depot": "NF-HAM", "starts_at": "soon", "note": "a note that is too long"})
    form.add_error(None, "Every EVSE that fits is taken then. Free from 12:45.")
    messages.success(request, "Booking BK7Q2M9XKD confirmed.")
    return _answer(
        request,
        "gallery.html",
        {
            "statuses": BookingStatus.values,
            "enforcements": Enforcement.values,
            "form": form,
            "rows": _rows(),
            "entries": _entries(),
        },
    )


def part(request: HttpRequest) -> HttpResponse:
    """What the gallery's dialog shows, and the answer to its form."""
    if request.method == "POST" and request.POST.get("reason"):
        return pages.done(request, "/gallery/", "Booking cancelled.")
    form = ReasonForm(request.POST if request.method == "POST" else None)
    return _answer(request, "_gallery_dialog.html", {"form": form}, 422 if form.is_bound else 200)


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=80)


def _answer(request: HttpRequest, name: str, context: dict[str, object], status: int = 200) -> HttpResponse:
    template = engines["django"].from_string((TEMPLATES / name).read_text())
    response = HttpResponse(template.render(context, request), status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _rows() -> list[dict[str, object]]:
    return [
        {
            "reference": f"BK7Q2M9XK{n}",
            "plate": f"HH-NF {n}00",
            "depot": "Hamburg Altenwerder",
            "evse": f"CP-{n}-1",
            "starts_at": NOON + timedelta(hours=n),
            "status": status,
            "enforcement": enforcement,
        }
        for n, (status, enforcement) in enumerate(
            [
                ("charging", "used"),
                ("confirmed", "armed"),
                ("confirmed", "at_risk"),
                ("requested", "not_due"),
            ],
            1,
        )
    ]


def _entries() -> list[dict[str, object]]:
    return [
        {"at": NOON, "title": "Requested", "by": "dispatcher@nordfracht.example", "icon_name": "inbox"},
        {"at": NOON, "title": "Confirmed", "by": "depot", "icon_name": "circle-check", "level": "success"},
        {
            "at": NOON + timedelta(hours=1),
            "title": "At risk",
            "text": "The charger says that a vehicle is plugged in. Berth tries again every minute.",
            "icon_name": "alert-triangle",
            "level": "warning",
        },
    ]


urlpatterns = [
    path("gallery/", gallery, name="gallery"),
    path("gallery/part/", part, name="gallery_part"),
    path("", include("config.urls")),
]
