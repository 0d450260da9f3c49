"""What gets installed is pinned by hash, and no lock file says where from."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.lock"))
PACKAGE_LOCKS = [ROOT / "frontend" / "package-lock.json", ROOT / "tests/browser/chromium/package-lock.json"]


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_a_lock_file_holds_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links|@ ", text)
    blocks = re.split(r"\n(?=\S)", text)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


@pytest.mark.parametrize("path", PACKAGE_LOCKS, ids=lambda path: path.parent.name)
def test_an_npm_lock_file_holds_hashes_and_no_address(path: Path) -> None:
    packages = json.loads(path.read_text())["packages"]

    assert not [name for name, package in packages.items() if "resolved" in package]
    assert all("integrity" in package for name, package in packages.items() if name)


def test_tests_run_with_the_versions_that_run_in_production() -> None:
    run, dev = pins(ROOT / "requirements/run.lock"), pins(ROOT / "requirements/dev.lock")

    assert run.items() <= dev.items()
    assert not {"playwright", "pytest", "ruff"} & run.keys()
