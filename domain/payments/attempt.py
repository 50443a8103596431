"""How news change an attempt.

Invariant: an attempt only ever comes further. What it is after some news doesn't depend on their order, nor on how
often each was heard; so a client's confirmation, a webhook and a look at the gateway may race, and whoever is late
changes nothing.
"""

from msgspec import structs

from domain.payments.model import Attempt
from domain.payments.news import AttemptState, Capture, News

RANK = {state: rank for rank, state in enumerate(AttemptState)}


def state_said(attempt: Attempt, news: News) -> AttemptState | None:
    """The state that news speak of: what went well was taken, or promised where it is taken on shipment."""
    if news.captured_minor or news.refunded_minor:
        return AttemptState.CAPTURED
    if news.succeeded:
        return AttemptState.CAPTURED if attempt.capture is Capture.NOW else AttemptState.AUTHORIZED
    return news.state


def differs(attempt: Attempt, news: News) -> str | None:
    """Why news can't be this attempt's: another reference, amount or currency than it has. None when they can."""
    if news.payment_id is not None and news.payment_id != attempt.id:
        return "they name another payment"
    if news.reference is not None and attempt.reference is not None and news.reference != attempt.reference:
        return "they name another reference"
    if news.currency is not None and news.currency != attempt.currency:
        return f"they are in {news.currency}, the payment in {attempt.currency}"
    if news.amount_minor is not None and news.amount_minor != attempt.amount_minor:
        return f"they are about {news.amount_minor}, the payment is {attempt.amount_minor}"
    if max(news.captured_minor or 0, news.refunded_minor or 0) > attempt.amount_minor:
        return f"they tell of more than the payment's {attempt.amount_minor}"
    return None


def merge(attempt: Attempt, news: News) -> Attempt:
    """The attempt after news that are its own; refunds are told apart (``domain.payments.settlement``)."""
    said = state_said(attempt, news)
    state = attempt.state if said is None else max(attempt.state, said, key=RANK.__getitem__)
    captured = 0
    if state is AttemptState.CAPTURED:
        captured = max(attempt.captured_minor, _told(attempt, news) if said is AttemptState.CAPTURED else 0)
    moved = state is not attempt.state
    return structs.replace(
        attempt,
        state=state,
        captured_minor=captured,
        reference=attempt.reference or news.reference,
        reason=(news.reason or attempt.reason) if moved else attempt.reason,
        action_url=(news.action_url or attempt.action_url) if state is AttemptState.ACTION_REQUIRED else None,
    )


def _told(attempt: Attempt, news: News) -> int:
    """What news of money say was taken. Money that was given back had been taken, though nobody has said so yet."""
    told = news.captured_minor or 0
    if not told and (attempt.capture is Capture.NOW or not news.refunded_minor):
        # With the payment all of it is taken; on shipment it may be less.
        told = attempt.amount_minor
    return max(told, news.refunded_minor or 0)
