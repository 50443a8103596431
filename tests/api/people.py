"""People who register and log in, as tests need them."""

from typing import Any
from uuid import UUID, uuid4

import httpx

from domain.accounts.email import email_key
from domain.accounts.model import Purpose
from infra.onetime import token_of
from tests.api.shop import Shop
from tests.builders import SECRET_KEY
from tests.system import eventually

PASSWORD = "correct horse battery"
_UNUSED = """
SELECT t.id FROM one_time_tokens t JOIN accounts a ON a.id = t.account_id
WHERE a.email_key = $1 AND t.purpose = $2 AND t.used_at IS NULL AND t.expires_at > now() ORDER BY t.id DESC LIMIT 1
"""


def address() -> str:
    """An e-mail address nobody has."""
    return f"{uuid4().hex}@example.com"


def link_of(shop: Shop, email: str, purpose: Purpose) -> str:
    """The token of the newest link that was sent to an address, as the mail carries it."""
    token_id: UUID = eventually(lambda: shop.value(_UNUSED, email_key(email), purpose.value))
    return token_of(SECRET_KEY, purpose, token_id)


def post(shop: Shop, path: str, headers: dict[str, str] | None = None, /, **body: Any) -> httpx.Response:
    return shop.http.post(path, json=body, headers=headers or {})


def register(shop: Shop, email: str = "", password: str = PASSWORD) -> str:
    """Register and follow the link; return the address."""
    email = email or address()
    assert post(shop, "/auth/register", email=email, password=password).status_code == 202
    assert post(shop, "/auth/verify-email", token=link_of(shop, email, Purpose.VERIFY_EMAIL)).status_code == 204
    return email


def log_in(shop: Shop, email: str, password: str = PASSWORD) -> dict[str, Any]:
    """Log in; return what the answer holds."""
    answer = post(shop, "/auth/login", email=email, password=password)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def bearer_of(signed_in: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {signed_in['access_token']}"}
