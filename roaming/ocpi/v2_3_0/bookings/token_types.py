"""The kind of a token as OCPI has words for it: vehicles' addresses and key codes have none. What a partner sends is kept."""

from __future__ import annotations

from depots.token_numbers import TokenKind
from roaming.ocpi.v2_3_0.bookings.schemas import TokenType

TOKEN_TYPE = {
    TokenKind.RFID: TokenType.RFID,
    TokenKind.APP_USER: TokenType.APP_USER,
    TokenKind.AD_HOC_USER: TokenType.AD_HOC_USER,
    TokenKind.EMAID: TokenType.EMAID,
    TokenKind.MAC: TokenType.OTHER,
    TokenKind.KEY_CODE: TokenType.OTHER,
    TokenKind.OTHER: TokenType.OTHER,
}


def token_type_out(kind: str) -> TokenType:
    return TOKEN_TYPE[TokenKind(kind)]
