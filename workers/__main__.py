"""``python -m workers``: one worker process for the lanes in ``LANES``."""

from workers.entry import main

main()
