from django.urls import path

from bookings.views import board, bookings, closures, home, requests, slots, tokens, undoing, vehicles, yard

app_name = "bookings"

urlpatterns = [
    path("", home.home, name="home"),
    path("slots/", slots.find, name="slots"),
    path("holds/", slots.hold, name="holds"),
    path("bookings/", bookings.bookings, name="bookings"),
    path("bookings/undo/", undoing.undo, name="undo"),
    path("bookings/<int:booking_id>/", bookings.booking, name="booking"),
    path("bookings/<int:booking_id>/confirmation/", bookings.confirm, name="confirmation"),
    path("bookings/<int:booking_id>/release/", bookings.release, name="release"),
    path("bookings/<int:booking_id>/change/", bookings.change, name="change"),
    path("bookings/<int:booking_id>/cancellation/", bookings.cancel, name="cancellation"),
    path("bookings/<int:booking_id>/seen/", bookings.seen, name="seen"),
    path("requests/", requests.requests, name="requests"),
    path("requests/<int:booking_id>/decision/", requests.decision, name="decision"),
    path("depots/<str:code>/", yard.yard, name="yard"),
    path("depots/<str:code>/board/", board.board, name="board"),
    path("depots/<str:code>/board/bookings/<int:booking_id>/", board.booking, name="board_booking"),
    path("depots/<str:code>/board/bookings/<int:booking_id>/move/", board.move, name="board_move"),
    path("depots/<str:code>/board/bookings/<int:booking_id>/end/", board.end, name="board_end"),
    path(
        "depots/<str:code>/board/bookings/<int:booking_id>/cancellation/",
        board.cancel,
        name="board_cancellation",
    ),
    path("depots/<str:code>/chargers/<str:identity>/", yard.charger, name="charger"),
    path("depots/<str:code>/closures/", closures.closures, name="closures"),
    path("depots/<str:code>/closures/new/", closures.close, name="close"),
    path("depots/<str:code>/closures/<int:closure_id>/", closures.closure, name="closure"),
    path("depots/<str:code>/closures/<int:closure_id>/clearing/", closures.clear, name="clearing"),
    path("depots/<str:code>/closures/<int:closure_id>/lifting/", closures.lift, name="lifting"),
    path("vehicles/", vehicles.vehicles, name="vehicles"),
    path("vehicles/new/", vehicles.add, name="vehicle_add"),
    path("vehicles/<int:vehicle_id>/", vehicles.vehicle, name="vehicle"),
    path("vehicles/<int:vehicle_id>/retirement/", vehicles.retire, name="vehicle_retirement"),
    path("vehicles/<int:vehicle_id>/return/", vehicles.bring_back, name="vehicle_return"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/new/", tokens.add, name="token_add"),
    path("tokens/<int:token_id>/", tokens.token, name="token"),
    path("tokens/<int:token_id>/block/", tokens.block, name="token_block"),
    path("tokens/<int:token_id>/release/", tokens.unblock, name="token_release"),
]
