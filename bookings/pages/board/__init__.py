"""The day plan of a depot: EVSEs by time, with what the viewer may see of what takes them.

What is shown is made in one place for the page and for the live stream: `Bar`s of bookings (and of changes that wait),
`Taken` spans of others, `Closed` spans. The timeline in the browser is drawn from the list that the server renders.
"""

from bookings.pages.board.bars import Bar, Closed, Taken, bars_of
from bookings.pages.board.reading import Board, Row, read_board
from bookings.pages.board.states import RowState, states_of
from bookings.pages.board.window import Window

__all__ = [
    "Bar",
    "Board",
    "Closed",
    "Row",
    "RowState",
    "Taken",
    "Window",
    "bars_of",
    "read_board",
    "states_of",
]
