"""Kinds of tokens in OCPI's words: a kind added on our side cannot be forgotten."""

from bookings.models import Token
from depots.token_numbers import TokenKind
from roaming.ocpi.v2_3_0.bookings.schemas import TokenType
from roaming.ocpi.v2_3_0.bookings.token_types import TOKEN_TYPE


def test_every_kind_of_token_has_ocpis_word_and_every_word_is_a_kind() -> None:
    assert set(TOKEN_TYPE) == set(TokenKind) >= set(Token.Type.values)
    assert {word.value: TOKEN_TYPE[TokenKind(word.value)] for word in TokenType} == {
        w.value: w for w in TokenType
    }
