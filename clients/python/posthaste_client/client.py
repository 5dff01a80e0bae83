"""The client: its options checked once, its calls by resource. It holds no connection; threads may share one."""

from __future__ import annotations

import random as chance
import re
import time
import uuid
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, cast
from urllib.parse import urlsplit

from .requests import Call, Connection, request
from .shapes import BatchResult, Cancelled, CreatedEndpoint, DeadLetter, DeadLetterWithData, Endpoint, EndpointChanges
from .shapes import EventStatus, Instant, ListedEvent, NewEndpoint, NewEvent, Page, Published, Replayed, ReplayedMany
from .shapes import Resent, RotatedSecret, Row, SentTest, Why
from .transport import Transport, http_transport


class Client:
    """`url`: where the gateway listens; a path in it is kept. `tenant`: for operator keys, unless a call names another.

    `tries_max`: requests for one call, 1 to 20. `try_s`: for one of them, 0.1 to 600. `total_s`: for all and the waits between,
    0.1 to 3600. The rest is for tests and proxies. Raises ValueError that names the option which is wrong.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        tenant: Optional[str] = None,
        tries_max: int = 5,
        try_s: float = 15.0,
        total_s: float = 60.0,
        transport: Transport = http_transport,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = chance.random,
        new_idempotency_key: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in url:
            raise ValueError("url must be such as https://hooks.example.com: without user, query and fragment")
        if not re.fullmatch(r"[!-~]+", api_key):
            raise ValueError("api_key must be a key such as phk_...: visible ASCII characters")
        for name, value, least, most in (
            ("tries_max", tries_max, 1, 20),
            ("try_s", try_s, 0.1, 600),
            ("total_s", total_s, 0.1, 3600),
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} must be a number from {least} to {most}")
        self._connection = Connection(
            url=url.rstrip("/"),
            api_key=api_key,
            tenant=tenant,
            tries_max=tries_max,
            try_s=try_s,
            total_s=total_s,
            transport=transport,
            now=now,
            monotonic=monotonic,
            sleep=sleep,
            random=random,
            new_idempotency_key=new_idempotency_key,
        )
        self.events = Events(self._connection)
        self.endpoints = Endpoints(self._connection)
        self.dead_letters = DeadLetters(self._connection)

    def publish(
        self,
        event: NewEvent,
        *,
        idempotency_key: Optional[str] = None,
        traceparent: Optional[str] = None,
        tracestate: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> Published:
        """Returns when the event is durable. Without a key one is made; each try carries it."""
        key = self._connection.new_idempotency_key() if idempotency_key is None else idempotency_key
        call = Call(
            "POST", ("events",), True, None, event, key, traceparent, tracestate, tenant, is_answer=_is_published
        )
        answer = request(self._connection, call)
        body = cast(Dict[str, str], answer.body)
        return Published(body["id"], body["lane"], body["status_url"], answer.is_replayed)

    def publish_batch(
        self,
        events: Sequence[NewEvent],
        *,
        idempotency_key: Optional[str] = None,
        traceparent: Optional[str] = None,
        tracestate: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> Sequence[BatchResult]:
        """Up to 1,000 events, 4 MiB; one result for each, in order. Those that a store did not take (503) are sent again with
        the rest, under the same key, until tries or time are used up."""
        call = Call(
            "POST",
            ("events", "batch"),
            True,
            body={"events": list(events)},
            idempotency_key=self._connection.new_idempotency_key() if idempotency_key is None else idempotency_key,
            traceparent=traceparent,
            tracestate=tracestate,
            tenant=tenant,
            is_answer=lambda body: isinstance(body, dict) and len(body.get("data", ())) == len(events),
            is_incomplete=lambda body: any(result["status"] == 503 for result in body["data"]),
        )
        return cast(Sequence[BatchResult], cast(Dict[str, Any], request(self._connection, call).body)["data"])


class _Calls:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _get(self, path: Sequence[str], tenant: Optional[str], query: Optional[Dict[str, object]] = None) -> Any:
        return request(self._connection, Call("GET", tuple(path), True, query, tenant=tenant)).body

    def _page(self, path: Sequence[str], tenant: Optional[str], query: Dict[str, object]) -> Page[Any]:
        body = self._get(path, tenant, query)
        return Page(body["data"], body["next_cursor"])

    def _post(self, path: Sequence[str], tenant: Optional[str], body: Optional[object] = None) -> Any:
        """Of what makes something new: tried again only when it is certain that nothing was made."""
        return request(self._connection, Call("POST", tuple(path), False, body=body, tenant=tenant)).body

    def _delete(self, path: Sequence[str], tenant: Optional[str]) -> None:
        request(self._connection, Call("DELETE", tuple(path), True, tenant=tenant))


class Events(_Calls):
    def list(
        self,
        *,
        type: Optional[str] = None,
        state: Optional[str] = None,
        endpoint_id: Optional[str] = None,
        since: Optional[Instant] = None,
        until: Optional[Instant] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> Page[ListedEvent]:
        """Newest first, by acceptance."""
        query: Dict[str, object] = {"type": type, "state": state, "endpoint_id": endpoint_id}
        return self._page(
            ("events",), tenant, {**query, "since": since, "until": until, "limit": limit, "cursor": cursor}
        )

    def get(self, id: str, *, include: Sequence[str] = (), tenant: Optional[str] = None) -> EventStatus:
        """`include`: of "data" and "filtered"."""
        return cast(EventStatus, self._get(("events", id), tenant, {"include": ",".join(include) or None}))

    def why(self, id: str, endpoint_id: str, *, tenant: Optional[str] = None) -> Why:
        return cast(Why, self._get(("events", id, "why"), tenant, {"endpoint": endpoint_id}))

    def resend(
        self,
        id: str,
        *,
        endpoint_id: Optional[str] = None,
        idempotency_key: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> Resent:
        """To one endpoint, or to all that subscribe to its type now."""
        key = self._connection.new_idempotency_key() if idempotency_key is None else idempotency_key
        wish = {} if endpoint_id is None else {"endpoint_id": endpoint_id}
        call = Call("POST", ("events", id, "resend"), True, body=wish, idempotency_key=key, tenant=tenant)
        return cast(Resent, request(self._connection, call).body)

    def cancel(self, id: str, *, tenant: Optional[str] = None) -> Cancelled:
        call = Call("POST", ("events", id, "cancel"), True, tenant=tenant)
        return cast(Cancelled, request(self._connection, call).body)


class Endpoints(_Calls):
    def create(self, endpoint: NewEndpoint, *, tenant: Optional[str] = None) -> CreatedEndpoint:
        return cast(CreatedEndpoint, self._post(("endpoints",), tenant, endpoint))

    def get(self, id: str, *, tenant: Optional[str] = None) -> Endpoint:
        return cast(Endpoint, self._get(("endpoints", id), tenant))

    def list(
        self,
        *,
        status: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> Page[Endpoint]:
        """Oldest first."""
        return self._page(("endpoints",), tenant, {"status": status, "limit": limit, "cursor": cursor})

    def update(self, id: str, changes: EndpointChanges, *, tenant: Optional[str] = None) -> Endpoint:
        call = Call("PATCH", ("endpoints", id), True, body=changes, tenant=tenant)
        return cast(Endpoint, request(self._connection, call).body)

    def delete(self, id: str, *, tenant: Optional[str] = None) -> None:
        self._delete(("endpoints", id), tenant)

    def rotate_secret(self, id: str, *, secret: Optional[str] = None, tenant: Optional[str] = None) -> RotatedSecret:
        wish = {} if secret is None else {"secret": secret}
        return cast(RotatedSecret, self._post(("endpoints", id, "rotate-secret"), tenant, wish))

    def test(self, id: str, *, tenant: Optional[str] = None) -> SentTest:
        """Sends one `posthaste.test` event to this endpoint alone."""
        return cast(SentTest, self._post(("endpoints", id, "test"), tenant))


class DeadLetters(_Calls):
    def list(
        self,
        *,
        endpoint_id: Optional[str] = None,
        event_id: Optional[str] = None,
        type: Optional[str] = None,
        state: Optional[str] = None,
        since: Optional[Instant] = None,
        until: Optional[Instant] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> Page[DeadLetter]:
        """Newest first, by the time of the letter."""
        query: Dict[str, object] = {"endpoint_id": endpoint_id, "event_id": event_id, "type": type, "state": state}
        return self._page(
            ("dead-letters",), tenant, {**query, "since": since, "until": until, "limit": limit, "cursor": cursor}
        )

    def get(self, id: str, *, tenant: Optional[str] = None) -> DeadLetterWithData:
        return cast(DeadLetterWithData, self._get(("dead-letters", id), tenant))

    def replay(self, id: str, *, tenant: Optional[str] = None) -> Replayed:
        return cast(Replayed, self._post(("dead-letters", id, "replay"), tenant))

    def replay_all(
        self,
        *,
        endpoint_id: Optional[str] = None,
        event_id: Optional[str] = None,
        type: Optional[str] = None,
        state: Optional[str] = None,
        since: Optional[Instant] = None,
        until: Optional[Instant] = None,
        rate_per_s: Optional[int] = None,
        dry_run: Optional[bool] = None,
        cursor: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> ReplayedMany:
        """All of the filter, about 10,000 in a call; goes on with `cursor` while `has_more`."""
        wish = {"endpoint_id": endpoint_id, "event_id": event_id, "type": type, "state": state, "since": since}
        further = {"until": until, "rate_per_s": rate_per_s, "dry_run": dry_run, "cursor": cursor}
        body = {name: value for name, value in {**wish, **further}.items() if value is not None}
        return cast(ReplayedMany, self._post(("dead-letters", "replay"), tenant, body))

    def delete(self, id: str, *, tenant: Optional[str] = None) -> None:
        self._delete(("dead-letters", id), tenant)


def rows_of(list_page: Callable[[Optional[str]], Page[Row]]) -> Iterator[Row]:
    """All rows of a list, page by page: `rows_of(lambda cursor: client.events.list(cursor=cursor))`."""
    cursor = None
    while True:
        page = list_page(cursor)
        yield from page.data
        cursor = page.next_cursor
        if cursor is None:
            return


def _is_published(body: object) -> bool:
    """What a proxy answers in the place of the gateway is no promise that the event is durable."""
    return isinstance(body, dict) and all(isinstance(body.get(name), str) for name in ("id", "lane", "status_url"))
