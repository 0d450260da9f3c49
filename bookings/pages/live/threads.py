"""The ORM, from an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connections

Result = TypeVar("Result")


async def in_thread(threads: ThreadPoolExecutor, function: Callable[..., Result], *args: Any) -> Result:
    """Run with the ORM in a thread, and give its pool connection back: an open stream must not keep one."""
    return await asyncio.get_running_loop().run_in_executor(threads, _then_closing, function, *args)


def _then_closing(function: Callable[..., Result], *args: Any) -> Result:
    try:
        return function(*args)
    finally:
        connections.close_all()
