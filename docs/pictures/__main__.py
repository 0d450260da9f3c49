"""Start a demo, take every picture of `docs.pictures.album`, stop it."""

from __future__ import annotations

import sys
from pathlib import Path

from docs.pictures.album import ALBUM
from docs.pictures.camera import Camera
from docs.pictures.throwaway_demo import ThrowawayDemo
from docs.pictures.visitors import visiting

FOLDER = Path(__file__).parent


def main() -> None:
    names = sys.argv[1:]
    unknown = set(names) - {picture.name for picture in ALBUM}
    if unknown:
        sys.exit(f"There is no picture {', '.join(sorted(unknown))}.")
    _say("Starting a demo")
    with ThrowawayDemo.started() as demo, visiting(demo.ocpp_url), Camera.at(demo.url) as camera:
        for picture in ALBUM:
            if not names or picture.name in names:
                camera.take(picture, FOLDER / f"{picture.name}.png")
                _say(f"  docs/pictures/{picture.name}.png")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
