"""What a call raises: a problem that the API answered (RFC 9457), or that no answer came."""

from __future__ import annotations

from typing import Any, Dict, List, Optional


class ProblemError(Exception):
    """The API refused the call, or was still refusing it when tries or time were used up.

    `code` is of the table in docs/errors.md, or `unexpected-answer` for what no Posthaste says, such as a proxy's page.
    `errors` are the places that are wrong. `idempotency_key` is what each try carried: the same call may go on under it.
    """

    def __init__(
        self, problem: Dict[str, Any], retry_after_s: Optional[float], tries: int, idempotency_key: Optional[str]
    ) -> None:
        super().__init__(f"{problem['status']} {problem['code']}: {problem['detail']}")
        self.status: int = problem["status"]
        self.code: str = problem["code"]
        self.type: str = problem.get("type", "about:blank")
        self.title: str = problem.get("title", "")
        self.detail: str = problem["detail"]
        self.errors: List[Dict[str, str]] = problem.get("errors", [])
        self.trace_id: Optional[str] = problem.get("trace_id")
        self.retry_after_s = retry_after_s
        self.tries = tries
        self.idempotency_key = idempotency_key


class NoAnswerError(Exception):
    """No whole answer came, so that nobody knows what became of the call. `__cause__` is what the last try ended with."""

    def __init__(self, cause: BaseException, tries: int, idempotency_key: Optional[str]) -> None:
        super().__init__(f"no answer after {'one try' if tries == 1 else f'{tries} tries'}: {cause}")
        self.__cause__ = cause
        self.tries = tries
        self.idempotency_key = idempotency_key


def problem_in(body: object, status: int) -> Dict[str, Any]:
    """The problem in a body, or one that says what came instead."""
    if isinstance(body, dict) and isinstance(body.get("code"), str) and isinstance(body.get("detail"), str):
        return {**body, "status": status}
    detail = f"The answer has the status {status} and is no problem of Posthaste; something between may have made it."
    return {"title": "Unexpected answer", "status": status, "detail": detail, "code": "unexpected-answer"}
