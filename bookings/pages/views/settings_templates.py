"""What is wanted of chargers: the built-in settings with their reasons, and operators' templates over them."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings.errors import BookingError
from bookings.maintenance import settings_templates as operations
from bookings.pages import access
from bookings.pages.forms.settings_template import SettingsTemplateForm
from bookings.pages.views.refusals import status_of, words_of
from bookings.rules.content_version import seen_version, version_of
from depots.commissioning.defaults import DEFAULTS
from depots.models import Organisation, SettingsTemplate
from depots.pages import done, respond

LIST = "bookings:settings_templates"


@never_cache
@login_required
@require_safe
def templates(request: HttpRequest) -> HttpResponse:
    operators = access.run_operators(request.user)
    rows = SettingsTemplate.objects.filter(operator__in=operators).select_related("operator")
    return respond(
        request,
        "bookings/settings_templates/templates",
        {
            "rows": [
                (row, version_of(row))
                for row in rows.order_by("operator__name", "protocol", "vendor", "model", "firmware", "pk")
            ],
            "operators": operators,
            "families": [
                (SettingsTemplate.Protocol(name).label, wanted) for name, wanted in DEFAULTS.items()
            ],
        },
    )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest, operator_id: int) -> HttpResponse:
    operator = access.run_operator(request.user, operator_id)
    form = SettingsTemplateForm(
        request.POST if request.method == "POST" else None, initial=SettingsTemplateForm.shown(None)
    )
    if form.is_valid():
        try:
            operations.add_template(operator=operator, content=form.content, now=timezone.now())
        except BookingError as refusal:
            form.add_error(None, str(refusal))
        else:
            return done(request, reverse(LIST), "It holds from each charger's next start on.")
    return _form(request, operator, form, None, 422 if form.is_bound else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def template(request: HttpRequest, template_id: int) -> HttpResponse:
    found = access.settings_template(request.user, template_id)
    form = SettingsTemplateForm(
        request.POST if request.method == "POST" else None, initial=SettingsTemplateForm.shown(found)
    )
    status = 422 if form.is_bound else 200
    try:
        version = seen_version(request.POST) if form.is_bound else 0
        if form.is_valid():
            operations.change_template(
                template_id=found.pk, content=form.content, seen_version=version, now=timezone.now()
            )
            return done(request, reverse(LIST), "It holds from each charger's next start on.")
    except BookingError as refusal:
        form.full_clean()
        form.add_error(None, words_of(refusal))
        status = status_of(refusal)
    return _form(request, found.operator, form, found, status)


@login_required
@require_POST
def remove(request: HttpRequest, template_id: int) -> HttpResponse:
    found = access.settings_template(request.user, template_id)
    try:
        operations.remove_template(
            template_id=found.pk, seen_version=seen_version(request.POST), now=timezone.now()
        )
    except BookingError as refusal:
        form = SettingsTemplateForm(initial=SettingsTemplateForm.shown(found))
        return _form(request, found.operator, form, found, status_of(refusal), words_of(refusal))
    return done(request, reverse(LIST), "It is removed. Chargers keep what they are set to.")


def _form(
    request: HttpRequest, operator: Organisation, form: SettingsTemplateForm, found: SettingsTemplate | None,
    status: int, refusal: str = "",
) -> HttpResponse:  # fmt: skip
    context = {
        "operator": operator,
        "form": form,
        "template": found,
        "refusal": refusal,
        "version": version_of(found) if found is not None else None,
    }
    return respond(request, "bookings/settings_templates/template", context, status)
