"""``ordermill mails preview``: a mail as people get it, without a stack."""

from tests.ops.console import environment, ordermill, result_of


def test_a_preview_shows_headers_and_text_or_the_page_in_a_language():
    shown = ordermill("mails", "preview", "order_shipped", "--language", "de", env=environment())
    assert "Subject: Etwas aus Ihrer Bestellung 7Z0K-93QM-1T8C ist unterwegs" in shown.stdout
    assert "Guten Tag, Ada," in shown.stdout
    page = ordermill("mails", "preview", "order_shipped", "--html", env=environment()).stdout
    assert page.startswith("<!doctype html>")
    assert "is on its way" not in page
    whole = result_of("mails", "preview", "verify_email", env=environment())
    assert whole["headers"]["Subject"] == "Confirm your e-mail address for The Shop"
    assert (whole["kind"], whole["language"]) == ("verify_email", "en")
    assert whole["html"].startswith("<!doctype html>")


def test_a_kind_there_is_not_is_named_with_those_there_are():
    shown = ordermill("mails", "preview", "weather", env=environment(), status=2)
    assert "order_shipped" in shown.stderr
