"""Verifies what Posthaste, or any other sender by Standard Webhooks 1.0.0, has sent.

`v1` signatures: HMAC-SHA-256 over `{webhook-id}.{webhook-timestamp}.{body}`, the body as the bytes that came.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Callable, List, Mapping, Sequence, Tuple, Union

BATCH_TYPE = "posthaste.batch"
SECRETS_MAX = 8
# Signatures of one header that are looked at; a longer list is refused before anything is hashed.
SIGNATURES_MAX = 16
TOLERANCE_S_MAX = 3600
# Bounds of a key in bytes (Standard Webhooks 1.0.0, "Symmetric").
KEY_BYTES_MIN = 24
KEY_BYTES_MAX = 64
BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
SECRET = re.compile(rf"whsec_({BASE64})")
SIGNATURE = re.compile(r"v1,([A-Za-z0-9+/]{43}=)")
TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,11}")


@dataclass(frozen=True)
class WebhookEvent:
    """One event. `id` is the same on every attempt and replay: keep it, and know it when it comes again."""

    id: str
    type: str
    timestamp: str
    data: Any


@dataclass(frozen=True)
class Webhook:
    """One POST that is genuine and of now. `form`: `single`, or `batch` for several LOW events with one answer."""

    form: str
    id: str
    signed_at_s: int
    events: Tuple[WebhookEvent, ...]


class RefusedWebhookError(Exception):
    """Answer 401, or 400 for `invalid-body`, which somebody signed.

    `code`: missing-header, invalid-timestamp, too-old, too-new, invalid-signature, no-signature-fits, invalid-body.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def verify(
    body: Union[bytes, bytearray, memoryview, str],
    headers: Mapping[str, str],
    secret: Union[str, Sequence[str]],
    *,
    tolerance_s: float = 300,
    now: Callable[[], float] = time.time,
) -> Webhook:
    """`body`: as it came, not parsed. `secret`: `whsec_...`, or several during a rotation.

    Raises RefusedWebhookError for what is not genuine; TypeError and ValueError for what is wrong on this side.
    """
    if not isinstance(body, (bytes, bytearray, memoryview, str)):
        raise TypeError("give the body as it came, as bytes or text: what was parsed and written again has other bytes")
    if not 1 <= tolerance_s <= TOLERANCE_S_MAX:
        raise ValueError(f"tolerance_s must be a number from 1 to {TOLERANCE_S_MAX}")
    raw = body.encode() if isinstance(body, str) else bytes(body)
    keys = keys_of(secret)
    message_id = field_of(headers, "webhook-id")
    timestamp = field_of(headers, "webhook-timestamp")
    signed_at_s = signed_at_of(timestamp, now(), tolerance_s)
    given = signatures_in(field_of(headers, "webhook-signature"))
    message = f"{message_id}.{timestamp}.".encode() + raw
    is_genuine = False
    for key in keys:
        expected = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
        for signature in given:
            is_genuine = hmac.compare_digest(signature, expected) or is_genuine
    if not is_genuine:
        raise RefusedWebhookError(
            "no-signature-fits",
            "no signature fits: another secret made it, or the body or a header is not as it was sent",
        )
    return webhook_of(message_id, signed_at_s, raw)


def keys_of(secret: Union[str, Sequence[str]]) -> List[bytes]:
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not 1 <= len(secrets) <= SECRETS_MAX:
        raise ValueError(f"give 1 to {SECRETS_MAX} secrets")
    keys = []
    for text in secrets:
        match = SECRET.fullmatch(text)
        if match is None:
            raise ValueError("a secret is whsec_ followed by padded base64, without anything else")
        key = base64.b64decode(match.group(1), validate=True)
        if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
            raise ValueError(f"a secret holds {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, and this one {len(key)}")
        keys.append(key)
    return keys


def field_of(headers: Mapping[str, str], name: str) -> str:
    """Names of any case; an empty field is as good as none."""
    for key, value in headers.items():
        if key.lower() == name and isinstance(value, str) and value != "":
            return value
    raise RefusedWebhookError("missing-header", f"the header {name} is missing")


def signed_at_of(timestamp: str, now: float, tolerance_s: float) -> int:
    if not TIMESTAMP.fullmatch(timestamp):
        raise RefusedWebhookError("invalid-timestamp", "the header webhook-timestamp is no time in whole seconds")
    age_s = now - int(timestamp)
    if abs(age_s) <= tolerance_s:
        return int(timestamp)
    code, where = ("too-old", "past") if age_s > 0 else ("too-new", "future")
    raise RefusedWebhookError(code, f"the header webhook-timestamp is more than {tolerance_s} s in the {where}")


def signatures_in(field: str) -> List[str]:
    """Signatures of other schemes are passed over: a sender may add some that are not known here."""
    listed = field.split(" ", SIGNATURES_MAX)
    known = [match.group(1) for match in map(SIGNATURE.fullmatch, listed) if match is not None]
    if not known:
        raise RefusedWebhookError("invalid-signature", "the header webhook-signature holds no v1 signature")
    if len(listed) > SIGNATURES_MAX:
        detail = f"the header webhook-signature lists more than {SIGNATURES_MAX} signatures"
        raise RefusedWebhookError("invalid-signature", detail)
    return known


def webhook_of(message_id: str, signed_at_s: int, raw: bytes) -> Webhook:
    try:
        body = json.loads(raw.decode())
    except (ValueError, RecursionError):
        raise invalid_body("is no JSON") from None
    if not is_payload(body):
        raise invalid_body("is no event: an object with type, timestamp and data")
    if body["type"] != BATCH_TYPE:
        event = WebhookEvent(message_id, body["type"], body["timestamp"], body["data"])
        return Webhook("single", message_id, signed_at_s, (event,))
    members = body["data"]
    if not isinstance(members, list) or not all(is_payload(each) and isinstance(each.get("id"), str) for each in members):
        raise invalid_body("is no batch: its data is a list of events with ids")
    events = tuple(WebhookEvent(each["id"], each["type"], each["timestamp"], each["data"]) for each in members)
    return Webhook("batch", message_id, signed_at_s, events)


def is_payload(body: object) -> bool:
    if not isinstance(body, dict) or "data" not in body:
        return False
    return isinstance(body.get("type"), str) and isinstance(body.get("timestamp"), str)


def invalid_body(detail: str) -> RefusedWebhookError:
    return RefusedWebhookError("invalid-body", f"the body {detail}, though its signature fits")
