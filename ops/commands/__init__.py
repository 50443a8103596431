"""One module per subcommand of ``ordermill``.

Each exposes a click command named ``command``; the first line of its docstring is its line in ``ordermill --help``.
``ops.cli`` finds them by their files and imports only the one that runs, so that help is quick.
"""
