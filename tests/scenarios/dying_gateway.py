"""A gateway process that dies, as by `kill -9`, right after a named operation has committed and before its answer leaves.

`python -m tests.scenarios.dying_gateway OPERATION` on the test's database; prints its address first.
"""

import asyncio
import os
import sys


def main(deadly: str) -> None:
    import django

    django.setup()
    from django.conf import settings

    settings.CHARGING_GATE = "tests.scenarios.bed.may_charge"
    asyncio.run(serve(deadly))


async def serve(deadly: str) -> None:
    from depots.ocpp.server import Gateway
    from tests.scenarios.bed import QUICK, Clock

    def die(operation: str) -> None:
        if operation == deadly:
            os._exit(9)

    async with Gateway(clock=Clock(), port=0, timings=QUICK, after_commit=die) as gateway:
        print(gateway.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
