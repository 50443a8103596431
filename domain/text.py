"""What people type into one line: names, streets, cities.

A line begins and ends with something visible and holds no control character, so it can stand in a mail's header, in a
list and on a label as it is.
"""

LINE_PATTERN = r"^[^\s\x00-\x1f\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f])?(?![\s\S])"
"""Ends in a lookahead because ``$`` lets a line feed through; it means the same in JSON Schema."""
EMPTY_OR_LINE_PATTERN = rf"^(?![\s\S])|{LINE_PATTERN}"
