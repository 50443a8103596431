"""Who is told what of what happened: webhooks, and what somebody may hear of."""
