"""Money before the promise: who can say yes to it, the prepaid balances, what a booking has secured (decision 70)."""
