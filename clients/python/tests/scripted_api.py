"""An API that answers by a script, and a client of it on a clock by hand."""

import json

from posthaste_client import Client, Response

PUBLISHED = {"id": "evt_1", "lane": "medium", "status_url": "/v1/events/evt_1"}


def answer(status, body, **headers):
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode())


def problem(status, code, **headers):
    body = {"type": f"urn:posthaste:problem:{code}", "title": "A title", "status": status, "detail": "A detail."}
    return answer(status, {**body, "code": code, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}, **headers)


class ScriptedApi:
    """Each request takes the next step. Chance is 0: each wait is its shortest. `sent`: (at_s, method, url, headers, body)."""

    def __init__(self, *steps, start=1_769_860_800.0, **options):
        self.steps = list(steps)
        self.sent = []
        self.now_s = 0.0
        self.keys = 0
        self.client = Client(
            "http://api.test/",
            "phk_test",
            **{
                "transport": self.transport,
                "now": lambda: start + self.now_s,
                "monotonic": lambda: self.now_s,
                "sleep": self.sleep,
                "random": lambda: 0.0,
                "new_idempotency_key": self.new_key,
                **options,
            },
        )

    def transport(self, method, url, headers, body, timeout_s):
        self.sent.append((self.now_s, method, url, headers, body))
        step = self.steps.pop(0) if self.steps else OSError("the script has no further step")
        if step == "silence":
            self.now_s += timeout_s
            raise TimeoutError(f"silent for {timeout_s} s")
        if isinstance(step, Exception):
            raise step
        return step

    def sleep(self, seconds):
        self.now_s += seconds

    def new_key(self):
        self.keys += 1
        return f"key-{self.keys}"

    def times(self):
        return [at_s for at_s, *_ in self.sent]

    def keys_sent(self):
        return [headers.get("idempotency-key") for _, _, _, headers, _ in self.sent]
