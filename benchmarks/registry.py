"""The names of the benchmarks, and the module of each: a function `run(names)` that yields the results asked for.

A module is imported only in the process that runs it. Those in `ON_DEMAND` take long or much disk, and run only by name.
"""

from __future__ import annotations

# name -> module below `benchmarks`; several names may share one module that measures them together.
MODULES = {
    "ocpi_post_vs_bare": "ocpi_post",
    "api_post_vs_ocpi": "api_post",
    "pages_10000": "ocpi_pages",
    "tokens_100000": "tokens_100000",
    "booking_statements": "booking_statements",
    "booking_race": "booking_race",
    "booking_growth": "booking_growth",
    "board_queries": "board",
    "board_vs_bare": "board",
    "live_500": "live",
    "page_weight": "page_weight",
    "fanout_300": "fanout",
    "fanout_dead": "fanout",
    "partners_500": "partners_500",
    "finder_demo": "finder",
    "search_growth": "search",
    "search_vs_sql": "search",
    "search_route": "search_route",
    "meter_day": "meter_day",
    "arm_5000": "gateway_arming",
    "rearm_5000": "gateway_arming",
    "billing_run": "billing_run",
    "connect_1000": "connect_1000",
    "gateway_memory": "gateway_memory",
    "gateway_10000": "gateway_memory",
    "authorize_cost": "authorize_cost",
    "gateway_rate": "gateway_rate",
    "gateway_rate_stored": "gateway_rate",
    "price_sessions": "price_sessions",
    "assignment_vs_first_fit": "assignment",
    "batch_40": "batch_40",
    "power_day": "power_day",
    "power_plan": "power_plan",
    "power_limits": "power_limits",
}
ON_DEMAND: frozenset[str] = frozenset(
    {"power_day", "power_limits", "power_plan", "search_growth", "search_vs_sql"}
)


def chosen(only: list[str]) -> dict[str, list[str]]:
    """Module -> names to run, in the order above. Raises KeyError for a name there is not."""
    names = only or [name for name in MODULES if name not in ON_DEMAND]
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(MODULES[name], []).append(name)
    return found
