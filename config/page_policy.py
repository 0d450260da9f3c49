"""The content security policy, of answers that a browser may show."""

from __future__ import annotations

from csp.middleware import CSPMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from bookings.api.problems import ApiResponse
from roaming.ocpi.envelope import OcpiResponse


class PagePolicy(CSPMiddleware):
    """django-csp's. It writes the policy out anew for each answer, which for the JSON of machines is work nobody has use for."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return (
            response
            if isinstance(response, OcpiResponse | ApiResponse)
            else super().process_response(request, response)
        )
