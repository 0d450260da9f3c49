"""What every test may use: a database server of the test run's own, and Berth's server as users run it."""

import fcntl
import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dramatiq
import pytest
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as examples
from pytest_django import DjangoDbBlocker
from whitenoise.middleware import WhiteNoiseMiddleware

from tests.emptying import empty_what_was_written
from tests.migrated import migrated_database
from tests.serving import BerthServer, SharedServers
from tests.static_files import add_found_files

# No test is about how fast this machine is: an example that takes long fails nothing.
examples.register_profile("berth", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("berth")


def pytest_configure(config: pytest.Config) -> None:
    # A cluster of its own, so that tests never meet the demo's data. Workers of xdist are told by the environment.
    if not hasattr(config, "workerinput"):
        os.environ["BERTH_VAR"] = str(settings.BERTH_VAR / "test")
    settings.BERTH_VAR = Path(os.environ["BERTH_VAR"])
    # Workers that tests start have better things to do than to load seventy thousand towns.
    os.environ["BERTH_LOADS_PLACES"] = "0"
    settings.MEDIA_ROOT = settings.BERTH_VAR / "uploads"
    # Whether a demo has run in this checkout is nothing to them.
    settings.DEMO_SIGN = settings.BERTH_VAR / "demo"
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = settings.BERTH_BOOKINGS_UNDER_2_2_1 = False
    # A hash that is slow on purpose would be most of the time of tests that sign in.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    WhiteNoiseMiddleware.add_files_from_finders = add_found_files  # type: ignore[method-assign]
    TransactionTestCase._fixture_teardown = empty_what_was_written  # type: ignore[attr-defined]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First what is tried from outside on one demo: its tests wait for processes, and some for each other. At the beginning one
    process of the run has them all, and the others keep the cores busy meanwhile.
    """
    items.sort(key=lambda item: "outside" not in getattr(item, "fixturenames", ()))


def pytest_collection_finish() -> None:
    # A million objects of imports and tests are looked through again and again for garbage that they are not.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Start the test run's server, without the waiting for disks that only lasting data needs.

    Its database is one run's: a second run of this checkout would drop it under the first, which then fails anywhere.
    """
    if "DATABASE_URL" not in os.environ:
        with django_db_blocker.unblock():
            connection.settings_dict["TEST"]["TEMPLATE"] = migrated_database()
    name = connection.creation._get_test_db_name()
    settings.BERTH_VAR.mkdir(parents=True, exist_ok=True)
    with (settings.BERTH_VAR / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"Another test run of this checkout is using the database {name}.") from None
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Before the database is dropped, cut whoever is still connected: the job queue's pool, a server's threads."""
    yield
    queue = dramatiq.get_broker()
    queue.close()
    queue.pool.close()
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(scope="session")
def _servers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServers]:
    """Those that were asked for so far: each serves until the run ends, for it is its start that takes seconds."""
    with ExitStack() as running:
        yield SharedServers(running, tmp_path_factory)


@pytest.fixture
def berth_servers(transactional_db: None, _servers: SharedServers) -> SharedServers:
    """`manage.py serve`, each as its own process on a free port, on the test's database: pages, API and live streams. They
    are everybody's: a test that stops or kills one starts it itself.
    """
    return _servers


@pytest.fixture
def no_server(_servers: SharedServers) -> None:
    """For tests in which nobody else may relay notices: a server that earlier tests shared is stopped."""
    _servers.stop()


@pytest.fixture
def berth_server(berth_servers: SharedServers) -> BerthServer:
    """One of them."""
    return berth_servers[0]
