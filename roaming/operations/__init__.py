"""What a partner may do here, said in booking terms."""

from roaming.operations.asking import Ask, Outcome, post_ask

__all__ = ["Ask", "Outcome", "post_ask"]
