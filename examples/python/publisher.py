"""Publishes one event: publisher.py invoice.paid '{"invoice":"in_1001"}'. Python 3.9 or newer, standard library only.

Settings: POSTHASTE_KEY (needed), POSTHASTE_URL (http://127.0.0.1:8080).
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

TRIES_MAX = 5
ANSWER_S_MAX = 15
PAUSE_S_MAX = 30


def post(url, key, event):
    """Gives back status, Retry-After in seconds or None, and text; status 0 when no answer came."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/events", json.dumps(event).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as answer:
            return answer.status, None, answer.read().decode()
    except urllib.error.HTTPError as answer:
        asked = answer.headers.get("retry-after", "")
        return answer.code, int(asked) if asked.isdigit() else None, answer.read().decode()
    except OSError as error:
        return 0, None, str(error)


def publish(url, key, event):
    """Returns when Posthaste has the event for certain. What may pass is tried again, what is wrong is not."""
    for attempt in range(1, TRIES_MAX + 1):
        status, asked_s, text = post(url, key, event)
        if status == 202:
            return text
        may_pass = status in (0, 429) or status >= 500
        if not may_pass or attempt == TRIES_MAX:
            raise SystemExit(f"not published: {status} {text}")
        time.sleep(min(asked_s or 2**attempt, PAUSE_S_MAX))


def main():
    key = os.environ.get("POSTHASTE_KEY")
    if not key:
        raise SystemExit("POSTHASTE_KEY is needed: an API key with the scope `publish`")
    words = sys.argv[1:]
    event = {
        # Chosen once for the event and sent with every try, so that an event which was taken is not taken twice.
        "id": str(uuid.uuid4()),
        "type": words[0] if words else "invoice.paid",
        "data": json.loads(words[1]) if len(words) > 1 else {"invoice": "in_1001", "amount": 12.5},
    }
    url = os.environ.get("POSTHASTE_URL", "http://127.0.0.1:8080")
    print("published", publish(url, key, event))


if __name__ == "__main__":
    main()
