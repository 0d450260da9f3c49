"""The day plan of a depot: EVSEs by time, with what the viewer may see of what takes them.

What is shown is made in one place for the page and for the live stream: `Bar`s of bookings (and of changes that wait),
`Taken` spans of others, `Closed` spans, all written by `Entries`. The timeline in the browser is drawn from the list that the
server writes.
"""

from bookings.pages.board.reading import Board, entries_of, read_board
from bookings.pages.board.row_states import RowState, running_at, states_of
from bookings.pages.board.window import Window

__all__ = ["Board", "RowState", "Window", "entries_of", "read_board", "running_at", "states_of"]
