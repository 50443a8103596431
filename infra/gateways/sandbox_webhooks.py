"""How the sandbox sends its webhooks: over HTTP, signed when they are sent, as a gateway's own machines would.

Invariant: a webhook counts as delivered only when it was answered with a 2xx. No error shows the secret or what a
receiver said.
"""

import asyncio
import ssl
from datetime import datetime
from functools import cache

import httpx
import msgspec

from domain.payments.sandbox import SendSandboxWebhook
from infra import settings
from infra.settings import Settings


class RefusedError(Exception):
    """Whoever receives it won't have it (4xx), whenever it is sent."""


class UndeliveredError(Exception):
    """It was not taken, or nobody knows; ``definite`` says that the receiver answered."""

    def __init__(self, error: str, *, definite: bool) -> None:
        super().__init__(error)
        self.definite = definite


class Courier:
    """Sends to one address."""

    def __init__(self, config: Settings) -> None:
        self._url = config.sandbox_webhook_url
        self._signer = config.sandbox_signer()
        # Made once: it reads all certificates that the system trusts.
        self._trust = ssl.create_default_context()

    async def send(self, command: SendSandboxWebhook, *, correlation: str, now: datetime, seconds: float) -> None:
        """Return when it was taken; raises RefusedError or UndeliveredError."""
        if self._signer is None or not self._url:
            raise RefusedError("SANDBOX_WEBHOOK_SECRET and SANDBOX_WEBHOOK_URL aren't both set in this worker")
        body = msgspec.json.encode(command.webhook).decode()
        fields = {"content-type": "application/json", "x-request-id": correlation}
        fields |= self._signer.headers(command.webhook_id, now, body)
        try:
            # No proxies: it goes to an api of ours.
            async with (
                asyncio.timeout(seconds),
                httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=seconds) as client,
            ):
                answer = await client.post(self._url, content=body, headers=fields)
        except (httpx.HTTPError, TimeoutError) as error:
            raise UndeliveredError(f"no answer to the webhook: {type(error).__name__}", definite=False) from None
        if answer.is_success:
            return
        said = f"the webhook was answered with {answer.status_code}"
        if answer.is_client_error and answer.status_code not in {408, 429}:
            raise RefusedError(said)
        raise UndeliveredError(said, definite=True)


@cache
def courier() -> Courier:
    """This process's own, made of its settings when the first webhook is sent."""
    return Courier(settings.load())
