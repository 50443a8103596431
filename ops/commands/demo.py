"""Hold a flash sale through the HTTP API on a stack of its own, then audit it.

Thousands of orders, most of them after a few scarce units; keys sent again and at once. Most are paid with the payment
sandbox, some after a decline, after a time-out, or told of late or twice; some expire; some are cancelled, before and
after they were paid, and give units and money back. Status 1 when anything was oversold, doubled or lost, when an order
or its money isn't as its buyer left it, when the audit finds a violation, or when fewer than 1,000 orders succeeded.
"""

import click

from ops.output import CommandError, Output, json_option


@click.command(help=__doc__)
@json_option
def command(output: Output) -> None:
    """Run it and tell."""
    from ops.demo import demo  # noqa: PLC0415 - help imports none of it
    from ops.shopper import ShopError  # noqa: PLC0415

    try:
        result = demo(output)
    except ShopError as error:
        raise CommandError(str(error)) from None
    output.result(result)
    if not result.good:
        raise SystemExit(1)
