"""The words of mails: templates in ``infra/mails``, said in a language, with amounts and times as it writes them.

Invariant: what stands in a template is English; the other languages are gettext catalogs, one file each, in
``infra/mails/locale``. A catalog is read as it is kept: there is no compiled copy that could be older.
"""

import re
import textwrap
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from babel.support import NullTranslations, Translations
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from domain.accounts.model import Language
from domain.money import exponent
from infra.text import lines, one_line

WIDTH = 72
_GAP = re.compile(r"\n{3,}")


def catalog_of(language: Language) -> NullTranslations:
    """The translations into a language; English needs none."""
    if language is Language.EN:
        return NullTranslations()
    text = files("infra").joinpath("mails", "locale", f"{language.value}.po").read_bytes()
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(text), locale=language.value))
    compiled.seek(0)
    return Translations(compiled)


@cache
def templates(language: Language) -> Environment:
    """The templates of mails in a language."""
    made = Environment(
        loader=PackageLoader("infra", "mails"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(catalog_of(language), newstyle=True)  # type: ignore[attr-defined]
    made.globals["language"] = language.value
    made.filters.update(
        one_line=one_line,
        lines=lines,
        wrapped=_wrapped,
        money=lambda amount, currency: money(amount, currency, language),
        moment=lambda at: moment(at, language),
    )
    return made


def page(name: str, language: Language, **values: object) -> str:
    """A page of HTML from a template."""
    return templates(language).get_template(name).render(**values)


def money(amount_minor: int, currency: str, language: Language) -> str:
    """An amount as people of a language write it."""
    amount = Decimal(amount_minor).scaleb(-exponent(currency))
    # Digits past those of the currency are never cut off: ours may count more of them than the locale does.
    return format_currency(amount, currency, locale=language.value, decimal_quantization=False)


def moment(at: datetime, language: Language) -> str:
    """A point of time as people of a language write it, in UTC."""
    return f"{format_datetime(at, 'medium', tzinfo=UTC, locale=language.value)} UTC"


def _wrapped(text: str) -> str:
    """A paragraph with empty lines around it; order numbers and long words stay whole."""
    filled = textwrap.fill(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"\n{filled}\n\n"


def subject_of(template: Template, values: dict[str, Any]) -> str:
    """What a text template has in its block ``subject``, as one line."""
    return one_line("".join(template.blocks["subject"](template.new_context(values))))


def text_of(template: Template, values: dict[str, Any]) -> str:
    """A text template with its values, without larger gaps than an empty line."""
    return _GAP.sub("\n\n", template.render(values)).strip("\n") + "\n"
