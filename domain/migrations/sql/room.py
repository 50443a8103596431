"""Room beside rows that change often."""

# An order changes with each step of its life. With room on its page no index hears of it.
ORDERS = "ALTER TABLE orders SET (fillfactor = 50)"


def statements() -> list[str]:
    """Return the statements in the order they run."""
    return [ORDERS]
