"""One call of the API: it is sent, and sent again while that may help, within bounds of tries and time."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from typing import Any, Callable, Dict, Mapping, NoReturn, Optional, Sequence, Tuple
from urllib.parse import urlencode

from .problem import NoAnswerError, ProblemError, problem_in
from .retry import Answered, Failed, Outcome, may_pass, retry_after_s, wait_s
from .transport import Transport

# Ids of the API and of callers; anything else could lead to another path.
SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,128}")
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Connection:
    """Where and how all calls of one client are made."""

    url: str
    api_key: str
    tenant: Optional[str]
    tries_max: int
    try_s: float
    total_s: float
    transport: Transport
    now: Callable[[], float]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]
    new_idempotency_key: Callable[[], str]


@dataclass(frozen=True)
class Call:
    """`is_repeatable`: twice is the same as once. `is_incomplete` says of a good answer that a part of the work may pass."""

    method: str
    path: Tuple[str, ...]
    is_repeatable: bool
    query: Optional[Mapping[str, object]] = None
    body: Optional[object] = None
    idempotency_key: Optional[str] = None
    traceparent: Optional[str] = None
    tracestate: Optional[str] = None
    tenant: Optional[str] = None
    is_answer: Callable[[Any], bool] = lambda body: True
    is_incomplete: Callable[[Any], bool] = lambda body: False


def request(connection: Connection, call: Call) -> Answered:
    """Raises ProblemError, NoAnswerError, or ValueError for what could not be sent. Each try sends the same bytes."""
    url, headers, body = prepared(connection, call)
    end = connection.monotonic() + connection.total_s
    may_be_done = False
    tries = 0
    while True:
        tries += 1
        timeout_s = min(connection.try_s, end - connection.monotonic())
        outcome = try_once(connection, call.method, url, headers, body, timeout_s)
        is_good = isinstance(outcome, Answered) and is_success(outcome.status) and call.is_answer(outcome.body)
        pause_s = wait_s(outcome, tries, connection.random)
        is_last = tries >= connection.tries_max or connection.monotonic() + pause_s >= end
        if isinstance(outcome, Answered):
            if is_good and (is_last or not call.is_incomplete(outcome.body)):
                return outcome
            # An earlier try without an answer may have been the one that removed it.
            if outcome.status == 404 and call.method == "DELETE" and may_be_done:
                return outcome
        if is_last or not (is_good or may_pass(outcome, call.is_repeatable)):
            refuse(outcome, tries, call.idempotency_key)
        may_be_done = may_be_done or isinstance(outcome, Failed) or outcome.status >= 500
        connection.sleep(pause_s)


def prepared(connection: Connection, call: Call) -> Tuple[str, Dict[str, str], Optional[bytes]]:
    for segment in call.path:
        if not SEGMENT.fullmatch(segment):
            raise ValueError(f"{segment!r} is no id: letters, digits, _ and - make one")
    query = {**(call.query or {}), "tenant": call.tenant if call.tenant is not None else connection.tenant}
    named = [(name, text_of(value)) for name, value in query.items() if value is not None]
    url = f"{connection.url}/v1/{'/'.join(call.path)}" + (f"?{urlencode(named)}" if named else "")
    headers = {"authorization": f"Bearer {connection.api_key}", "accept": "application/json"}
    if call.traceparent is not None:
        headers["traceparent"] = call.traceparent
    if call.tracestate is not None:
        headers["tracestate"] = call.tracestate
    if call.idempotency_key is not None:
        if not IDEMPOTENCY_KEY.fullmatch(call.idempotency_key):
            raise ValueError("an idempotency key has 1 to 255 visible ASCII characters")
        headers["idempotency-key"] = '"' + re.sub(r'(["\\])', r"\\\1", call.idempotency_key) + '"'
    if call.body is None:
        return url, headers, None
    headers["content-type"] = "application/json"
    text = json.dumps(call.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=text_of)
    return url, headers, text.encode()


def text_of(value: object) -> str:
    """Of what is no JSON by itself, and of what stands in a query."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("give a datetime with its time zone")
        return value.isoformat()
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, Sequence):
        return ",".join(text_of(each) for each in value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def try_once(
    connection: Connection,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Optional[bytes],
    timeout_s: float,
) -> Outcome:
    """What is not JSON is no answer when its status is good, and an answer without a body otherwise."""
    try:
        response = connection.transport(method, url, headers, body, timeout_s)
        parsed = body_of(response.body, is_success(response.status))
    except (OSError, HTTPException, ValueError) as cause:
        return Failed(cause)
    asked_s = retry_after_s(response.headers.get("retry-after"), connection.now())
    return Answered(response.status, asked_s, parsed, response.headers.get("idempotent-replayed") == "true")


def body_of(body: bytes, is_needed: bool) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        if is_needed:
            raise
        return None


def is_success(status: int) -> bool:
    return 200 <= status <= 299


def refuse(outcome: Outcome, tries: int, idempotency_key: Optional[str]) -> NoReturn:
    if isinstance(outcome, Failed):
        raise NoAnswerError(outcome.cause, tries, idempotency_key)
    raise ProblemError(problem_in(outcome.body, outcome.status), outcome.retry_after_s, tries, idempotency_key)
