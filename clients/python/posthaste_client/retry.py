"""Whether and when a call is tried again: pure decisions over what one try came to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Callable, Optional, Union

# The wait before the second try is about this; it doubles with each further one.
FIRST_WAIT_S = 0.25
WAIT_S_MAX = 8.0

# 408, 425 and 429 say that nothing was taken, and so do these codes of a 503.
REFUSED = frozenset((408, 425, 429))
REFUSED_CODES = frozenset(("overloaded", "stopping"))
# What stays so, however often it is asked.
LASTING = frozenset((501, 505))


@dataclass(frozen=True)
class Answered:
    """`body` is None when there is none, or none that is JSON."""

    status: int
    retry_after_s: Optional[float]
    body: object
    is_replayed: bool


@dataclass(frozen=True)
class Failed:
    """No whole answer came."""

    cause: BaseException


Outcome = Union[Answered, Failed]


def may_pass(outcome: Outcome, is_repeatable: bool) -> bool:
    """`is_repeatable`: the call done twice is the same as once. Any other is tried again only when nothing was done."""
    if isinstance(outcome, Failed):
        return is_repeatable
    code = outcome.body.get("code") if isinstance(outcome.body, dict) else None
    if outcome.status in REFUSED or (outcome.status == 503 and code in REFUSED_CODES):
        return True
    if outcome.status == 409:
        return code == "request-in-flight"
    return outcome.status >= 500 and outcome.status not in LASTING and is_repeatable


def wait_s(outcome: Outcome, tries: int, random: Callable[[], float]) -> float:
    """Between half and the whole of a doubling wait, never sooner than Retry-After asks. `tries`: made so far, from 1."""
    whole = min(FIRST_WAIT_S * 2.0 ** (tries - 1), WAIT_S_MAX)
    own = whole / 2 + whole / 2 * random()
    if isinstance(outcome, Answered) and outcome.retry_after_s is not None:
        return max(own, outcome.retry_after_s)
    return own


def retry_after_s(field: Optional[str], now: float) -> Optional[float]:
    """Seconds, or a date (RFC 9110 section 10.2.3); None when it is neither. `now`: seconds since 1970."""
    if field is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", field):
        return float(field)
    try:
        return max(0.0, parsedate_to_datetime(field).timestamp() - now)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
