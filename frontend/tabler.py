"""The part of Tabler's style sheet that Berth's pages use: `python -m frontend.tabler` writes static/css/tabler.css.

A rule stays when every class and attribute of one of its selectors is a word of a template, script or view; a custom
property or animation when a rule that stays refers to it. A test compares what is written with what would be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHOLE = ROOT / "static/vendor/tabler/tabler.min.css"
PART = ROOT / "static/css/tabler.css"
SOURCES = (
    "templates/**/*.html",
    "static/js/*.js",
    "static/css/*.css",
    "depots/**/*.py",
    "bookings/**/*.py",
    "config/**/*.py",
)
# Loaded with the page's own parts: state of fields and the fields' own kinds, which forms set by name.
ALWAYS = {"is-invalid", "is-valid", "was-validated", "show", "active", "disabled", "collapsed", "open"}

_CLASS = re.compile(r"\.((?:\\.|[\w-])+)")
_ATTRIBUTE = re.compile(r"\[\s*(data-[\w-]+)")
_REFERENCE = re.compile(r"var\(\s*(--[\w-]+)")
_WORD = re.compile(r"[A-Za-z][\w-]*(?:/\d+)?")
_FUNCTION = re.compile(r":(?:not|has)\((?:[^()]|\([^()]*\))*\)")


@dataclass
class Rule:
    """`prelude{body}`; a group such as @media has rules instead of a body, a statement such as @charset neither."""

    prelude: str
    body: str = ""
    rules: list[Rule] | None = None
    is_statement: bool = False

    def __str__(self) -> str:
        if self.is_statement:
            return f"{self.prelude};"
        inner = self.body if self.rules is None else "".join(map(str, self.rules))
        return f"{self.prelude}{{{inner}}}"


def subset(css: str, words: set[str], referring: str = "") -> str:
    """What of a minified style sheet is used by these words; `referring` is other CSS that may use its properties."""
    licence = re.match(r'(?:@charset "[^"]*";)?(/\*!.*?\*/)', css, re.DOTALL)
    rules = list(_used(_parsed(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)), words))
    rules = _without_unreferenced(rules, referring)
    return f"{licence[1] if licence else ''}\n{''.join(map(str, rules))}\n"


def words_of_pages() -> set[str]:
    """Every word that may name a class in templates, scripts and views."""
    texts = [path.read_text(encoding="utf-8") for path in _sources()]
    return ALWAYS.union(*(_WORD.findall(text) for text in texts))


def current() -> str:
    """The style sheet as it should be now."""
    own = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "static").glob("*/*.[cj]s*"))
        if path != PART
    )
    return subset(WHOLE.read_text(encoding="utf-8"), words_of_pages(), referring=own)


def _sources() -> Iterator[Path]:
    for pattern in SOURCES:
        yield from sorted(path for path in ROOT.glob(pattern) if path != PART)


def _parsed(css: str) -> list[Rule]:
    rules, position = [], 0
    while position < len(css):
        opening = re.compile(r"[{;]").search(css, position)
        if opening is None:
            break
        prelude = css[position : opening.start()].strip()
        if opening.group() == ";":
            rules.append(Rule(prelude, is_statement=True))
            position = opening.end()
            continue
        end = _closing(css, opening.end())
        body = css[opening.end() : end]
        is_group = prelude.startswith(("@media", "@supports", "@layer", "@container"))
        rules.append(Rule(prelude, body, _parsed(body) if is_group else None))
        position = end + 1
    return rules


def _closing(css: str, position: int) -> int:
    """Where the block that was opened before `position` ends; braces in quoted text are none."""
    depth = 1
    for mark in re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[{}]').finditer(css, position):
        depth += {"{": 1, "}": -1}.get(mark.group(), 0)
        if depth == 0:
            return mark.start()
    raise ValueError("a block of the style sheet does not end")


def _used(rules: list[Rule], words: set[str]) -> Iterator[Rule]:
    for rule in rules:
        if rule.rules is not None:
            if kept := list(_used(rule.rules, words)):
                yield Rule(rule.prelude, rules=kept)
        elif rule.prelude.startswith("@"):
            if rule.prelude != "@charset":
                yield rule
        elif kept_selectors := [s for s in _split(rule.prelude, ",") if _is_used(s, words)]:
            yield Rule(",".join(kept_selectors), rule.body)


def _split(text: str, separator: str) -> list[str]:
    """Split at separators that stand in no bracket and no quoted text."""
    parts, depth, start = [], 0, 0
    for mark in re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[()\[\],;]').finditer(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(mark.group(), 0)
        if mark.group() == separator and depth == 0:
            parts.append(text[start : mark.start()])
            start = mark.end()
    return [part for part in (*parts, text[start:]) if part.strip()]


def _is_used(selector: str, words: set[str]) -> bool:
    plain = _FUNCTION.sub("", selector)
    names = {re.sub(r"\\(.)", r"\1", name) for name in _CLASS.findall(plain)} | set(_ATTRIBUTE.findall(plain))
    return names <= words


def _without_unreferenced(rules: list[Rule], referring: str) -> list[Rule]:
    """Take out custom properties and animations that nothing kept refers to, until nothing more goes."""
    while True:
        text = "".join(map(str, rules)) + referring
        wanted = set(_REFERENCE.findall(text))
        named = set(re.findall(r"[\w-]+", " ".join(re.findall(r"animation(?:-name)?:([^;}]*)", text))))
        kept = list(_referenced(rules, wanted, named))
        if "".join(map(str, kept)) == "".join(map(str, rules)):
            return kept
        rules = kept


def _referenced(rules: list[Rule], wanted: set[str], animations: set[str]) -> Iterator[Rule]:
    for rule in rules:
        if rule.rules is not None:
            if kept := list(_referenced(rule.rules, wanted, animations)):
                yield Rule(rule.prelude, rules=kept)
        elif "keyframes" in rule.prelude.partition(" ")[0]:
            if rule.prelude.partition(" ")[2] in animations:
                yield rule
        elif rule.is_statement or rule.prelude.startswith("@"):
            yield rule
        elif body := ";".join(d for d in _split(rule.body, ";") if not _is_unwanted(d, wanted)):
            yield Rule(rule.prelude, body)


def _is_unwanted(declaration: str, wanted: set[str]) -> bool:
    name = declaration.partition(":")[0].strip()
    return name.startswith("--") and name not in wanted


if __name__ == "__main__":
    PART.write_text(current(), encoding="utf-8")
