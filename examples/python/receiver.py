"""Receives deliveries and verifies each one by the rules of Standard Webhooks. Python 3.9 or newer, standard library only.

Settings: WEBHOOK_SECRET (needed, `whsec_...`), PORT (8082; 0 takes a free one).
"""
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 5 * 60
BODY_BYTES_MAX = 1024 * 1024  # an event has up to 256 KiB, a batch up to 512 KiB
IDS_KEPT = 10_000


def fault_of(key, headers, body):
    """None when the delivery is genuine and of now, else what is wrong with it."""
    message_id, timestamp, signatures = (headers.get(f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if message_id is None or timestamp is None or signatures is None:
        return "a webhook header is missing"
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return "the timestamp is not a number"
    if abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return "the timestamp is too far from now"
    # The bytes as they came: parsed and written again they would be others.
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = hmac.new(key, signed, hashlib.sha256).digest()
    # Several when the secret was rotated: one that fits is enough.
    for signature in signatures.split(" "):
        version, _, text = signature.partition(",")
        try:
            given = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if version == "v1" and hmac.compare_digest(given, expected):
            return None
    return "no signature fits"


class Seen:
    """Ids of late. A delivery may come twice; a real receiver keeps the ids beside what it did because of them."""

    def __init__(self):
        self.ids = {}
        self.lock = threading.Lock()

    def is_new(self, message_id):
        with self.lock:
            if message_id in self.ids:
                return False
            if len(self.ids) >= IDS_KEPT:
                del self.ids[next(iter(self.ids))]
            self.ids[message_id] = True
            return True


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    key = b""
    seen = Seen()

    def do_POST(self):
        length = self.headers.get("content-length", "")
        # Posthaste always says how long a body is.
        if not length.isdigit():
            return self.answer(411)
        if int(length) > BODY_BYTES_MAX:
            return self.answer(413)
        body = self.rfile.read(int(length))
        fault = fault_of(self.key, self.headers, body)
        if fault is not None:
            print(f"refused: {fault}", flush=True)
            return self.answer(401)
        message_id, event = self.headers["webhook-id"], json.loads(body)
        # Answer soon: real work belongs behind a queue of your own, and a slow answer counts as a failure.
        if self.seen.is_new(message_id):
            print(f"verified {event['type']} {message_id} {json.dumps(event['data'])}", flush=True)
        else:
            print(f"known already {message_id}", flush=True)
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.close_connection = status in (411, 413)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_words):
        """The lines above say enough."""


def main():
    secret = os.environ.get("WEBHOOK_SECRET", "")
    if not secret.startswith("whsec_"):
        raise SystemExit("WEBHOOK_SECRET is needed: whsec_ and the key in base64")
    Receiver.key = base64.b64decode(secret[len("whsec_") :])
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8082"))), Receiver)
    print(f"receiving at http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
