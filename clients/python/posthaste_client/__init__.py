"""Publishes to Posthaste, manages it, and verifies its webhooks. Standard library only."""

from .client import Client, DeadLetters, Endpoints, Events, rows_of
from .problem import NoAnswerError, ProblemError
from .shapes import Page, Published
from .transport import Response
from .webhooks import RefusedWebhookError, Webhook, WebhookEvent, verify

__all__ = [
    "Client",
    "DeadLetters",
    "Endpoints",
    "Events",
    "NoAnswerError",
    "Page",
    "ProblemError",
    "Published",
    "RefusedWebhookError",
    "Response",
    "Webhook",
    "WebhookEvent",
    "rows_of",
    "verify",
]
