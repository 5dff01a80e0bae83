"""What goes in and what comes back, named as the API names it (docs/api.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, Generic, List, Mapping, Optional, TypedDict, TypeVar, Union

Row = TypeVar("Row")
# RFC 3339 text, or a datetime with its time zone.
Instant = Union[str, datetime]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """`next_cursor`: where the next page begins; None after the last. A page may be short, or empty, before that."""

    data: List[Row]
    next_cursor: Optional[str]


@dataclass(frozen=True)
class Published:
    """The event is durable. `is_replayed`: an earlier request under the same key had this answer."""

    id: str
    lane: str
    status_url: str
    is_replayed: bool


class RequiredOfEvent(TypedDict):
    type: str
    data: Any


class NewEvent(RequiredOfEvent, total=False):
    """`priority`: HIGH, MEDIUM (default) or LOW. `id`: your own, so that the same event published twice is one."""

    priority: str
    id: str
    tenant: str
    timestamp: Instant
    deliver_at: Instant


class RequiredOfResult(TypedDict):
    status: int


class BatchResult(RequiredOfResult, total=False):
    """Either `id`, `lane` and `status_url`, or `problem`."""

    id: str
    lane: str
    status_url: str
    idempotent_replayed: bool
    problem: Dict[str, Any]


class ListedEvent(TypedDict):
    id: str
    tenant: str
    type: str
    priority: str
    lane: str
    timestamp: str
    accepted_at: str
    deliver_at: Optional[str]
    trace_id: Optional[str]
    body_bytes: int
    state: str




class OptionalOfStatus(TypedDict, total=False):
    data: Any


class EventStatus(ListedEvent, OptionalOfStatus):
    """`data` with include=["data"]. Deliveries are as docs/api.md has them."""

    reason: Optional[str]
    waiting: Optional[Dict[str, Any]]
    filtered_count: int
    deliveries: List[Dict[str, Any]]


class Why(TypedDict):
    event_id: str
    endpoint_id: str
    waiting: Optional[Dict[str, Any]]
    decisions: List[Dict[str, str]]


class Resent(TypedDict):
    event_id: str
    replayed_at: str
    deliveries: List[Dict[str, str]]
    skipped: List[Dict[str, str]]


class Cancelled(TypedDict):
    id: str
    state: str
    deliver_at: str


class RequiredOfEndpoint(TypedDict):
    url: str


class NewEndpoint(RequiredOfEndpoint, total=False):
    event_types: List[str]
    description: str
    headers: Mapping[str, str]
    secret: str
    retry: Optional[Mapping[str, Any]]
    rate_limit: Optional[Mapping[str, int]]
    batch: Optional[Mapping[str, int]]
    paused: bool
    tenant: str


class EndpointChanges(TypedDict, total=False):
    """Changes what is named; None takes a setting or a header back. `disabled`: False enables what Posthaste disabled."""

    url: str
    event_types: List[str]
    description: str
    headers: Optional[Mapping[str, Optional[str]]]
    retry: Optional[Mapping[str, Any]]
    rate_limit: Optional[Mapping[str, int]]
    batch: Optional[Mapping[str, int]]
    paused: bool
    disabled: bool


class Endpoint(TypedDict):
    """Values of `headers` are `***`."""

    id: str
    tenant: str
    url: str
    event_types: List[str]
    description: str
    headers: Dict[str, str]
    retry: Dict[str, Any]
    rate_limit: Optional[Dict[str, int]]
    batch: Optional[Dict[str, int]]
    status: str
    status_reason: Optional[str]
    status_since: Optional[str]
    failing_since: Optional[str]
    created_at: str
    updated_at: str


class CreatedEndpoint(Endpoint):
    """The secret is shown here and at a rotation, and never again."""

    secret: str


class RotatedSecret(TypedDict):
    secret: str
    previous_expires_at: Optional[str]


class SentTest(TypedDict):
    id: str
    lane: str
    status_url: str


class DeadLetter(TypedDict):
    """`endpoint_id` is None for an event that was never fanned out."""

    id: str
    tenant: str
    event_id: str
    event_type: str
    endpoint_id: Optional[str]
    state: str
    reason: str
    attempt_count: int
    at: str
    event: Dict[str, Any]


class DeadLetterWithData(DeadLetter):
    data: Any


class Replayed(TypedDict):
    delivery_id: str
    event_id: str
    endpoint_id: Optional[str]


class OptionalOfReplay(TypedDict, total=False):
    next_cursor: str


class ReplayedMany(OptionalOfReplay):
    matched: int
    replayed: int
    skipped: int
    dry_run: bool
    has_more: bool
