"""Many names tried from one place: not locked, since an office shares an address, but slowed."""

from collections.abc import Callable
from datetime import datetime, timedelta

from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from config.lockout import address
from depots.accounts import slowed_down

# More than any office mistypes; the names together, as one name has its own, lower limit.
FREE_TRIES = 30
WITHIN = timedelta(minutes=15)
ONE_EVERY = timedelta(seconds=10)


def slow_spraying(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: past the free tries an address may try one password every ten seconds. Refused tries are not tried."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and request.path_info == settings.LOGIN_URL:
            wait_s = seconds_to_wait(address(request), now=timezone.now())
            if wait_s:
                return slowed_down(request, wait_s)
        return get_response(request)

    return answer


def seconds_to_wait(place: str | None, *, now: datetime) -> int:
    """Until this address may try the next password; 0 while it has free tries."""
    recent = AccessAttempt.objects.filter(ip_address=place, attempt_time__gt=now - WITHIN)
    tried = recent.aggregate(failures=Sum("failures_since_start"), latest=Max("attempt_time"))
    if (tried["failures"] or 0) < FREE_TRIES:
        return 0
    left: timedelta = tried["latest"] + ONE_EVERY - now
    return max(0, -(-left // timedelta(seconds=1)))
