"""Tariffs of an operator: what holds where, what was said before, and the editor."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bookings.errors import BookingError, ChangedMeanwhile, TariffRefused
from bookings.models import Tariff, TariffVersion
from bookings.operations.tariffs import TariffDraft, set_tariffs, version_of_tariff, withdraw_tariff
from bookings.pages import access, money_access
from bookings.pages.example_visits import example_visits
from bookings.pages.forms.tariff import (
    TariffForm,
    common_vat,
    limits_of,
    moved_rows,
    owners_in,
    renumbered,
    rows_of,
    typed_rows,
)
from bookings.pages.forms.tariff_element import USES
from bookings.pages.tariff_places import BoundPlace, bound_places, owners_bound, place_choices, zone_of
from bookings.pages.tariff_sentences import element_sentence, sentences, whole_sentences
from bookings.pages.views.refusals import status_of
from bookings.pricing import tariff_checks
from bookings.pricing.tariff_content import TariffContent
from bookings.rules.content_version import look_again, seen_version
from bookings.rules.tariff_bindings import TariffInForce, version_at, versions_of
from depots.models import Organisation
from depots.pages import done, respond

FIRST_ELEMENTS = {Tariff.Kind.CHARGING: ["charging"], Tariff.Kind.BOOKING: ["booking", "no_show"]}


@never_cache
@login_required
@require_safe
def tariffs(request: HttpRequest) -> HttpResponse:
    money_access.tariff_reader(request.user)
    now, rows = timezone.now(), list(money_access.tariffs_seen(request.user))
    versions, places = versions_of(rows), bound_places(rows, now=now)
    context = {
        "shown": [_row(row, versions[row.pk], places[row.pk], now) for row in rows],
        "may_change": bool(money_access.operators_priced(request.user)),
        "is_several": len({row.operator_id for row in rows}) > 1,
    }
    return respond(request, "bookings/tariffs/tariffs", context)


@never_cache
@login_required
@require_safe
def tariff(request: HttpRequest, tariff_id: int) -> HttpResponse:
    """One tariff: what it says now, what it will, where, and every version there was."""
    return _tariff_page(request, money_access.tariff(request.user, tariff_id))


def _tariff_page(request: HttpRequest, found: Tariff, status: int = 200) -> HttpResponse:
    now = timezone.now()
    versions = versions_of([found])[found.pk]
    held = _held(versions, now)
    made = {row.pk: row for row in TariffVersion.objects.filter(tariff=found).only("made_at", "made_by_name")}
    zone = zone_of(found.operator)
    shown = held or _next(versions, now)
    context = {
        "tariff": found, "held": held, "coming": _next(versions, now), "now": now, "zone": zone,
        "places": bound_places([found], now=now)[found.pk], "says": _says(shown),
        "examples": example_visits(shown.content, found.kind, zone, today=now.date()) if shown else [],
        "history": [
            {"version": one, "made": made[one.pk], "says": _says(one), "is_held": one == held}
            for one in reversed(versions)
        ],
        "may_change": found.operator_id in {row.pk for row in money_access.operators_priced(request.user)},
        "version": version_of_tariff(found),
    }  # fmt: skip
    return respond(request, "bookings/tariffs/tariff", context, status)


@dataclass(frozen=True)
class _Editor:
    """What is edited: a new tariff of a kind, or one that there is."""

    operator: Organisation
    kind: str
    zone: ZoneInfo
    tariff: Tariff | None = None
    versions: tuple[TariffInForce, ...] = field(default=())

    @property
    def newest(self) -> TariffInForce | None:
        """What is changed: the version that begins last."""
        return self.versions[-1] if self.versions else None

    @property
    def seen_version(self) -> int:
        return version_of_tariff(self.tariff) if self.tariff is not None else 0

    @property
    def next_number(self) -> int:
        return max((version.number for version in self.versions), default=0) + 1

    def form(self, data: QueryDict | None = None) -> TariffForm:
        content = self.newest.content if self.newest else None
        rows: list[dict[str, Any]] = [{"use": use} for use in FIRST_ELEMENTS[Tariff.Kind(self.kind)]]
        initial: dict[str, Any] = {}
        if content is not None:
            rows, initial = rows_of(content), _initial(content)
        if self.tariff is not None:
            initial["name"] = self.tariff.name
        return TariffForm(
            data, tariff=self.tariff, kind=self.kind, zone=self.zone, rows=rows, initial=initial
        )


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A new tariff; `kind` and, for who works for several, `operator` come with the address."""
    operators = money_access.operators_priced(request.user)
    asked = request.GET.get("operator", "")
    operator = next((row for row in operators if str(row.pk) == asked), operators[0] if operators else None)
    if operator is None:
        raise Http404
    kind = request.GET.get("kind", Tariff.Kind.CHARGING.value)
    if kind not in USES:
        raise Http404
    return _edit(request, _Editor(operator, kind, zone_of(operator)), operators)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def renew(request: HttpRequest, tariff_id: int) -> HttpResponse:
    """The version that follows."""
    found = money_access.own_tariff(request.user, tariff_id)
    versions = versions_of([found])[found.pk]
    return _edit(request, _Editor(found.operator, found.kind, zone_of(found.operator), found, versions), [])


@login_required
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What the form says so far, in sentences and example prices; nothing is kept."""
    operators, kind = money_access.operators_priced(request.user), request.POST.get("kind", "")
    if not operators:
        raise Http404
    kind = kind if kind in USES else Tariff.Kind.CHARGING.value
    zone = zone_of(operators[0])
    form = TariffForm(request.POST, kind=kind, zone=zone)
    context = _preview(form, kind, zone, timezone.now())
    return respond(request, "bookings/tariffs/preview", context)


@login_required
@require_POST
def withdraw(request: HttpRequest, tariff_id: int) -> HttpResponse:
    found = money_access.own_tariff(request.user, tariff_id)
    try:
        withdraw_tariff(found, seen_version=seen_version(request.POST), now=timezone.now())
    except ChangedMeanwhile as refusal:
        messages.error(request, look_again(refusal))
        return _tariff_page(request, found, status_of(refusal))
    return done(request, reverse("bookings:tariff", args=[found.pk]), f"{found} holds nowhere any more.")


def _edit(request: HttpRequest, editor: _Editor, operators: list[Organisation]) -> HttpResponse:
    now = timezone.now()
    if request.method != "POST":
        return _page(request, editor, editor.form(), operators, now=now)
    act = request.POST.get("act", "save")
    if act != "save":
        return _page(request, editor, None, operators, act=act, now=now)
    form = editor.form(request.POST)
    content = form.content()
    if not form.elements:
        form.add_error(None, "A tariff has a price at least.")
    if not form.is_valid() or content is None:
        return _page(request, editor, form, operators, status=422, now=now)
    try:
        set_tariffs(
            [_draft(request.POST, editor, form, content)], actor=access.as_manager(request.user), now=now
        )
    except TariffRefused as refused:
        form.add_faults([fault for _, fault in refused.faults], content)
        return _page(request, editor, form, operators, status=422, now=now)
    except BookingError as refusal:
        form.add_error(None, str(refusal))
        return _page(request, editor, form, operators, status=status_of(refusal), now=now)
    row = Tariff.objects.get(
        operator=editor.operator, code__iexact=form.cleaned_data.get("code") or _code(editor)
    )
    return done(
        request, reverse("bookings:tariff", args=[row.pk]), "Saved. Bookings made before keep their prices."
    )


def _draft(data: QueryDict, editor: _Editor, form: TariffForm, content: TariffContent) -> TariffDraft:
    return TariffDraft(
        operator=editor.operator,
        code=form.cleaned_data.get("code") or _code(editor),
        content=content,
        name=form.cleaned_data["name"],
        starts_at=form.since("starts_on"),
        ends_at=form.since("ends_on"),
        bind_to=tuple(owners_in(data)),
        seen_version=seen_version(data) if editor.tariff else 0,
    )


def _code(editor: _Editor) -> str:
    return editor.tariff.code if editor.tariff else ""


def _page(
    request: HttpRequest,
    editor: _Editor,
    form: TariffForm | None,
    operators: list[Organisation],
    *,
    act: str = "",
    status: int = 200,
    now: datetime,
) -> HttpResponse:
    """The editor; after a button that moves elements (`form` None) with what was typed, read or not."""
    data = request.POST if request.method == "POST" else None
    chosen = set(owners_in(data)) if data is not None else set()
    if data is None and editor.tariff is not None:
        chosen = owners_bound(editor.tariff)
    read = form
    if form is None and data is not None:
        rows = moved_rows(typed_rows(data), act, kind=editor.kind)
        read = editor.form(renumbered(data, rows))
        typed = {name: data.get(name, "") for name in TariffForm.base_fields}
        form = TariffForm(tariff=editor.tariff, kind=editor.kind, zone=editor.zone, rows=rows, initial=typed)
    elif form is not None and not form.is_bound:
        read = _as_sent(editor)
    context = {
        "editor": editor, "form": form, "operators": operators, "operator": editor.operator,
        "places": place_choices(editor.operator, editor.kind, chosen, editor.tariff, now=now),
        **(_preview(read, editor.kind, editor.zone, now) if read else {"cards": [], "says": [], "examples": [], "warnings": []}),
    }  # fmt: skip
    return respond(request, "bookings/tariffs/editor", context, status)


def _as_sent(editor: _Editor) -> TariffForm | None:
    """What is shown first, as a form that can be read: None of a tariff that says nothing yet."""
    if editor.newest is None:
        return None
    rows = rows_of(editor.newest.content)
    data = QueryDict(mutable=True)
    data.update(
        {name: "" if value is None else str(value) for name, value in _initial(editor.newest.content).items()}
    )
    texts = [{name: _text(value) for name, value in row.items()} for row in rows]
    return TariffForm(renumbered(data, texts), tariff=editor.tariff, kind=editor.kind, zone=editor.zone)


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [str(one) for one in value]
    return (
        ""
        if value is None or value is False
        else value.strftime("%H:%M")
        if hasattr(value, "hour")
        else str(value)
    )


def _preview(form: TariffForm, kind: str, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    content = form.content()
    unread = [
        f"Price {number} is not counted yet. {next(iter(element.errors.values()))[0]}"
        for number, element in enumerate(form.elements, 1)
        if element.errors
    ]
    if content is None:
        return {"cards": [], "says": [], "examples": [], "warnings": unread}
    read = [number for number, element in enumerate(form.elements, 1) if not element.errors]
    cards = [(number, element_sentence(content, n)) for n, number in enumerate(read)]
    if tariff_checks.faults(content):
        return {"cards": cards, "says": [], "examples": [], "warnings": unread}
    return {
        "cards": cards,
        "says": whole_sentences(content),
        "examples": example_visits(content, kind, zone, today=now.date()),
        "warnings": unread
        + [f"Price {(fault.element or 0) + 1} {fault.text}." for fault in tariff_checks.warnings(content)],
    }


def _initial(content: TariffContent) -> dict[str, Any]:
    return {
        "currency": content.currency,
        "vat": common_vat(content),
        "tax_included": content.tax_included.value,
        **limits_of(content),
    }


def _row(
    tariff: Tariff, versions: tuple[TariffInForce, ...], places: list[BoundPlace], now: datetime
) -> dict[str, Any]:
    held, coming = _held(versions, now), _next(versions, now)
    return {
        "tariff": tariff, "held": held, "coming": coming, "says": _says(held or coming), "places": places,
    }  # fmt: skip


def _held(versions: tuple[TariffInForce, ...], now: datetime) -> TariffInForce | None:
    return version_at(versions, now)


def _next(versions: tuple[TariffInForce, ...], now: datetime) -> TariffInForce | None:
    """The one that begins next."""
    return next((one for one in versions if one.starts_at is not None and one.starts_at > now), None)


def _says(version: TariffInForce | None) -> list[str]:
    return sentences(version.content) if version else []
