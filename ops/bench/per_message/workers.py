"""``python -m ops.bench.per_message.workers``: Dramatiq's own command line, with its defaults."""

import sys

from dramatiq.cli import main, make_argument_parser

from ops.bench.per_message.actors import THREADS

if __name__ == "__main__":
    options = ["ops.bench.per_message.actors", "--threads", str(THREADS), *sys.argv[1:]]
    sys.exit(main(make_argument_parser().parse_args(options)))  # type: ignore[no-untyped-call] # typed only in part
