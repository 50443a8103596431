"""Place a folder of real orders through the HTTP API, each at its recorded price.

DIR has the layout that Olist published its orders in: order_items.csv, products.csv, sellers.csv and
category_translation.csv. All of it is checked before anything is written; then sellers, products, offers and stock
are imported, and the orders are placed in the order of their shipping limits. Runs on a stack of its own that goes
away at the end, unless DATABASE_URL or --data names one.

With --pay every order is paid with the payment sandbox as soon as it is placed, and has to be confirmed for it. With
--deliver, besides, its sellers accept, ship and deliver it. With --freight the recorded freight is what shipping costs:
sellers get it as their shipping rates, and each order is quoted by them.
"""

import contextlib
import os
from pathlib import Path

import click

from ops.output import CommandError, Output, json_option
from ops.target import Target, data_option, find, from_environment


@click.command(help=__doc__)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--pay", is_flag=True, help="Pay every order with the payment sandbox.")
@click.option("--deliver", is_flag=True, help="With --pay: ship every order, and deliver it.")
@click.option("--freight", is_flag=True, help="Take the recorded freight as what shipping costs.")
@data_option
@json_option
def command(folder: Path, data: Path | None, output: Output, **said: bool) -> None:
    """Read, choose the stack, replay; status 1 when anything came out other than recorded."""
    from ops.goods import CatalogError  # noqa: PLC0415 - help imports none of it
    from ops.olist import OlistError, read_records  # noqa: PLC0415
    from ops.replay import TargetInUseError, replay  # noqa: PLC0415
    from ops.replay_figures import Course  # noqa: PLC0415
    from ops.shopper import ShopError  # noqa: PLC0415
    from ops.temporary import DEFAULTS, temporary_stack  # noqa: PLC0415

    course = Course(said["pay"], said["deliver"])
    if course.deliver and not course.pay:
        raise CommandError("--deliver needs --pay: what isn't paid isn't shipped")
    try:
        records = read_records(folder, freight=said["freight"])
        with contextlib.ExitStack() as stack:
            if data is None and from_environment() is None:
                output.say("Starting a PostgreSQL and a Valkey of their own; they go away at the end.")
                target, env = stack.enter_context(temporary_stack()), DEFAULTS
            else:
                target, env = _complete(find(data), pay=course.pay), {}
            result = replay(records, target, env, output, course)
    except (CatalogError, OlistError, TargetInUseError, ShopError) as error:
        raise CommandError(str(error)) from None
    output.result(result)
    if not result.good:
        raise SystemExit(1)


def _complete(target: Target, *, pay: bool) -> Target:
    """Refuse a stack that no api could be started on, before anything is written to it."""
    for name, value in target.environment().items():
        if not value:
            raise CommandError(f"{name} is not set: replay starts an api and a worker of its own on that stack")
    if pay and not target.sandbox_webhook_secret and not os.environ.get("SANDBOX_WEBHOOK_SECRET"):
        raise CommandError("SANDBOX_WEBHOOK_SECRET is not set: there is no payment sandbox on that stack")
    return target
