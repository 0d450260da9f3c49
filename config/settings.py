"""Every setting of Berth, read from the environment. Each has a default that is safe on one machine.

Values that only suit a checkout on one's own machine are refused in production: an installation is one that
turned `BERTH_DEBUG` off by name, or whose public address is not this machine.
"""

import os
import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config import keys, logs
from config.embedded import postgres

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

# Where the embedded database, uploads and the simulators keep their files; outside version control.
BERTH_VAR = Path(env.str("BERTH_VAR", default="") or BASE_DIR / "var").absolute()

# Loopback by default: nobody else on the network sees a demo.
BERTH_HTTP = env.str("BERTH_HTTP", default="127.0.0.1:8000")
BERTH_OCPP = env.str("BERTH_OCPP", default="127.0.0.1:9000")

# How many processes share the web server's port; each has a database pool of its own. One a core, but no more than the
# default `max_connections` of PostgreSQL allows beside a worker and a gateway.
BERTH_SERVE_PROCESSES = env.int("BERTH_SERVE_PROCESSES", default=min(len(os.sched_getaffinity(0)), 4))

# Written into every address handed to partners, so it is never guessed from a request's Host header.
# Who listens everywhere is reached here, as far as we can know.
_here = BERTH_HTTP.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
BERTH_BASE_URL = env.str("BERTH_BASE_URL", default=f"http://{_here}").rstrip("/")
_base = urlsplit(BERTH_BASE_URL)
if _base.scheme not in {"http", "https"} or not _base.hostname:
    raise ImproperlyConfigured(f"BERTH_BASE_URL must be an http or https address, not {BERTH_BASE_URL!r}.")

# Off unless asked for: the debug pages show settings and source to whoever meets an error.
DEBUG = env.bool("BERTH_DEBUG", default=False)

# An installation says so by turning debug off by name, or by a public address behind https.
_HERE = _base.hostname in {"localhost", "127.0.0.1", "::1"}
_PUBLIC = _base.scheme == "https" and not _HERE
PRODUCTION = _PUBLIC or (not DEBUG and "BERTH_DEBUG" in env.ENVIRON)

# An installation brings its key; a checkout makes one of its own with its first command.
_given_key = env.str("BERTH_SECRET_KEY", default="")
SECRET_KEY = _given_key or ("" if PRODUCTION else keys.key_of_checkout(BERTH_VAR))

# Keys of stored secrets, newest first: new secrets are kept under the first, old ones are read under any.
BERTH_STORAGE_KEYS = [key for key in env.list("BERTH_STORAGE_KEYS", default=[]) if key] or [SECRET_KEY]

# Only names we serve: a forged Host header must not end up in a mail or a redirect. Who tries Berth out on all of a
# machine's addresses is reached by names we cannot know.
_ours = [_base.hostname, "localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = env.list("BERTH_ALLOWED_HOSTS", default=_ours if _here == BERTH_HTTP else ["*"])

# Until a server is named, mails are files in a folder: they carry invoices, which nobody can read in a log.
_mail = env.email_url("BERTH_EMAIL_URL", default=f"filemail:///{str(BERTH_VAR / 'mail').lstrip('/')}")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_FILE_PATH = f"/{_mail['EMAIL_FILE_PATH']}"
EMAIL_HOST = _mail["EMAIL_HOST"] or "localhost"
EMAIL_PORT = _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10  # a mail server that hangs must not keep a job's thread
DEFAULT_FROM_EMAIL = f"berth@{_base.hostname}"

_refused = [
    f"{name} must {demand}"
    for name, demand, is_met in (
        ("BERTH_DEBUG", "be off", not DEBUG),
        (
            "BERTH_SECRET_KEY",
            "be a random text of 50 characters or more",
            len(SECRET_KEY) >= 50 and not SECRET_KEY.startswith("insecure"),
        ),
        (
            "BERTH_STORAGE_KEYS",
            "be random texts of 50 characters or more, newest first",
            all(len(key) >= 50 for key in BERTH_STORAGE_KEYS) or not SECRET_KEY,
        ),
        (
            "BERTH_ALLOWED_HOSTS",
            "name the hosts that are served",
            "BERTH_ALLOWED_HOSTS" in env.ENVIRON and "*" not in ALLOWED_HOSTS,
        ),
        (
            "BERTH_EMAIL_URL",
            "name a mail server, as in smtp+tls://user:password@host:587",
            "BERTH_EMAIL_URL" in env.ENVIRON,
        ),
    )
    if not is_met
]
if PRODUCTION and _refused:
    raise ImproperlyConfigured(f"In production {'; '.join(_refused)}.")

CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"]

# Partner addresses on private networks would let a partner make us call our own machines. In the demo partners are
# processes of this machine: it leaves this file, so that the commands used beside it allow the same.
DEMO_SIGN = BERTH_VAR / "demo"
BERTH_ALLOW_PRIVATE_PARTNERS = env.bool(
    "BERTH_ALLOW_PRIVATE_PARTNERS", default=not PRODUCTION and DEMO_SIGN.exists()
)

# A letter or digit that the party ids and cards of demo data end with, so that two demos can be partners of each other.
BERTH_DEMO_PARTY = env.str("BERTH_DEMO_PARTY", default="").upper()
if not re.fullmatch(r"[A-Z0-9]?", BERTH_DEMO_PARTY):
    raise ImproperlyConfigured(f"BERTH_DEMO_PARTY is one letter or digit, not {BERTH_DEMO_PARTY!r}.")

# Whether partners get Bookings under OCPI 2.2.1, which has no such module, unless their switch says otherwise.
BERTH_BOOKINGS_UNDER_2_2_1 = env.bool(
    "BERTH_BOOKINGS_UNDER_2_2_1", default=not PRODUCTION and DEMO_SIGN.exists()
)

# Proxies whose X-Forwarded-For says who is asking, as addresses or networks. Nobody else's does: it can be made up.
try:
    BERTH_TRUSTED_PROXIES = [
        ip_network(given.strip()) for given in env.list("BERTH_TRUSTED_PROXIES", default=[])
    ]
except ValueError as fault:
    raise ImproperlyConfigured(
        f"BERTH_TRUSTED_PROXIES takes addresses and networks, as in 127.0.0.1,10.0.0.0/8: {fault}."
    ) from fault

# TLS at the gateway itself, as PEM files: with them BERTH_OCPP is wss, or BERTH_OCPP_TLS where that is an address of its
# own beside it. Client certificates are asked for where their roots are named.
BERTH_OCPP_TLS_CERT = env.str("BERTH_OCPP_TLS_CERT", default="")
BERTH_OCPP_TLS_KEY = env.str("BERTH_OCPP_TLS_KEY", default="")
BERTH_OCPP_CLIENT_CA = env.str("BERTH_OCPP_CLIENT_CA", default="")
BERTH_OCPP_TLS = env.str("BERTH_OCPP_TLS", default="")
if bool(BERTH_OCPP_TLS_CERT) != bool(BERTH_OCPP_TLS_KEY):
    raise ImproperlyConfigured("BERTH_OCPP_TLS_CERT and BERTH_OCPP_TLS_KEY go together: set both or none.")
if (BERTH_OCPP_TLS or BERTH_OCPP_CLIENT_CA) and not BERTH_OCPP_TLS_CERT:
    raise ImproperlyConfigured(
        "BERTH_OCPP_TLS and BERTH_OCPP_CLIENT_CA need BERTH_OCPP_TLS_CERT and its key."
    )
# A header in which a trusted proxy passes the client certificate it has checked, as nginx's $ssl_client_escaped_cert. Only
# for a proxy that sets or removes it in every request: whoever can send it is the charger it names.
BERTH_OCPP_CLIENT_CERT_HEADER = env.str("BERTH_OCPP_CLIENT_CERT_HEADER", default="")
# What chargers are told whose security profile is raised: where they find Berth over TLS, without their identity, and the
# root they are to trust it by (PEM), where they may not have it yet.
BERTH_OCPP_PUBLIC_URL = env.str("BERTH_OCPP_PUBLIC_URL", default="").rstrip("/")
BERTH_OCPP_SERVER_ROOT = env.str("BERTH_OCPP_SERVER_ROOT", default="")
if BERTH_OCPP_PUBLIC_URL and not BERTH_OCPP_PUBLIC_URL.startswith("wss://"):
    raise ImproperlyConfigured(
        "BERTH_OCPP_PUBLIC_URL is the chargers' address over TLS, as in wss://berth.example/ocpp."
    )

# Requests a partner may make in a minute, over all processes; none are counted on one's own machine.
BERTH_OCPI_PER_MINUTE = env.int("BERTH_OCPI_PER_MINUTE", default=1200 if PRODUCTION else 0)

# Requests all systems of an organisation may make in a minute to the JSON API, likewise.
BERTH_API_PER_MINUTE = env.int("BERTH_API_PER_MINUTE", default=1200 if PRODUCTION else 0)

# Our own apps import in one direction only: config > roaming > bookings > depots.
# config stands before them, so that the job broker is chosen before any of them defines an actor.
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django_htmx",
    "ninja",
    "csp",
    "axes",
    "config.apps.JobTablesConfig",
    "config.apps.WiringConfig",
    "depots.apps.DepotsConfig",
    "bookings.apps.BookingsConfig",
    "roaming.apps.RoamingConfig",
]

MIDDLEWARE = [
    "config.metrics.count_requests",
    "roaming.ocpi.transport.OcpiTransport",  # outermost: every answer below /ocpi is an envelope, Django's own too
    "bookings.api.transport.ApiTransport",  # likewise below /api, where every refusal is a problem
    "config.requests.refuse_nul",
    "config.requests.name_client",
    "config.compression.CompressText",  # before the static files, which a checkout serves as they lie
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.page_policy.PagePolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.spraying.slow_spraying",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "bookings.pages.navigation.nav",
            ],
        },
    },
]

# The embedded PostgreSQL unless an address is given. One connection per thread comes out of a pool, checked as
# it is taken: after a restart of the database nobody is handed a dead one.
_database = (
    env.db_url("DATABASE_URL") if env.str("DATABASE_URL", default="") else postgres.settings(BERTH_VAR)
)
DATABASES = {
    "default": {
        **_database,
        "ATOMIC_REQUESTS": False,  # an operation is the transaction (docs/architecture.md), a request is not
        "CONN_MAX_AGE": 0,  # the pool keeps connections open; Django refuses to do both
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**_database.get("OPTIONS", {}), "pool": {"min_size": 1, "max_size": 12, "timeout": 5}},
    }
}
if _database["ENGINE"] not in {"django.db.backends.postgresql", "config.embedded"}:
    raise ImproperlyConfigured(
        "DATABASE_URL must be a postgres:// address: bookings rest on its constraints."
    )

# Where background jobs go. The database itself by default: a job commits with the booking that caused it.
BERTH_BROKER_URL = env.str("BERTH_BROKER_URL", default="")

# The one function that answers "may this token charge here now?" (depots asks, bookings knows).
CHARGING_GATE = "bookings.gate.may_charge"
# And what asks the network that issued a token, where its word is needed (depots.gate.TokenOwners); "" asks nobody.
AUTHORIZING_NETWORKS = "roaming.outbound.token_owners.PartnerNetworks"
# And "what does the partner of this booking have its chargers do for us?" (bookings.partner_control).
PARTNER_CONTROL = "roaming.commands.sent.offered"
# Payment providers that agreements may ask, name=class: BERTH_PAYMENT_PROVIDERS="acme=acme_berth.Acme". The rules of such a class
# stand in docs/operators/billing.md; none by default.
PAYMENT_PROVIDERS = env.dict("BERTH_PAYMENT_PROVIDERS", default={})
# And the one that answers "at which of these EVSEs does a status concern a booking?".
AWAITED_EVSES = "bookings.gate.awaited_evses"
# And "with which networks does the one that charged write the invoice?" (bookings.billing.reverse_billing).
REVERSE_BILLING = "roaming.reverse_billing.agreed"
# And "which of these sessions' meter values may somebody still ask about?".
NEEDED_READINGS = "bookings.billing.meter_evidence.needed_readings"

# Was a contract certificate revoked? A class as depots.plug_and_charge.revocation.RevocationService has it.
REVOCATION_SERVICE = env.str(
    "BERTH_REVOCATION_SERVICE", default="depots.plug_and_charge.revocation.OcspResponders"
)
# Who makes contract certificates for vehicles (depots.plug_and_charge.ev_certificates.EvCertificateProvider); nobody by default.
EV_CERTIFICATE_PROVIDER = env.str("BERTH_EV_CERTIFICATE_PROVIDER", default="")
# Who signs chargers' certificates for vehicles (depots.plug_and_charge.v2g_certificates.V2gSigner); nobody by default.
V2G_SIGNER = env.str("BERTH_V2G_SIGNER", default="")
# Whether a worker fills the table of place names by itself, from the package that has them; `manage.py load_places` does it too.
LOADS_PLACES = env.bool("BERTH_LOADS_PLACES", default=True)
# Who says which way a truck takes from place to place (bookings.search.routing.RoutingService); by great circles without one.
ROUTING_SERVICE = env.str("BERTH_ROUTING_SERVICE", default="")

AUTH_USER_MODEL = "depots.User"
LOGIN_URL = "/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# A one-time link to set a password is good for three days, over a weekend.
PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600

# Ten wrong passwords for one name from one address lock that pair for a quarter of an hour: slow for somebody
# who guesses, short for somebody who mistyped, and a stranger elsewhere cannot lock a dispatcher out.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "config.lockout.address"
AXES_USERNAME_CALLABLE = "config.lockout.attempted_name"
AXES_LOCKOUT_CALLABLE = "depots.accounts.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_DISABLE_ACCESS_LOG = True

# Sessions in the database: signing somebody out works at once, in every process.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
# A cookie named by port: two checkouts on one machine do not sign each other out.
SESSION_COOKIE_NAME = f"berth_session_{_base.port or 80}" if _HERE else "berth_session"
CSRF_COOKIE_NAME = f"berth_csrf_{_base.port or 80}" if _HERE else "berth_csrf"

# Behind https everything is https; health is asked by machines beside us, without it.
_HTTPS = _base.scheme == "https"
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
SECURE_SSL_REDIRECT = _HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _HTTPS
# A browser vendor's list keeps a domain for years: whoever wants that says so.
SECURE_HSTS_PRELOAD = _HTTPS and env.bool("BERTH_HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W021"]  # which asks for it unasked
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Nothing inline and nothing from elsewhere: an injected script finds nowhere to run.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# A form or JSON body of ours is small; imports are files on the operator's machine. More is refused unread.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# But for a supplier's invoice, a PDF of up to 20 MB, and a bank's statement.
MOST_FILE_BODY = 21 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500
DATA_UPLOAD_MAX_NUMBER_FILES = 5
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# Times are stored and computed in UTC; a depot's own zone serves its hours and its pages.
TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en-gb"
USE_I18N = False

# The app serves its own static files. An installation collects and fingerprints them once (collectstatic);
# a checkout serves them from where they lie.
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = BERTH_VAR / "uploads"
MEDIA_URL = "/uploads/"

LOGGING = logs.configuration(debug=DEBUG)
LOGGING_CONFIG = "logging.config.dictConfig"
