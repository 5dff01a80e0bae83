"""`verify` by Standard Webhooks, over what the reference library and Posthaste itself signed."""

import base64
import hashlib
import hmac
import json
import os
import unittest

from posthaste_client import RefusedWebhookError, verify

NOW = 1_770_000_000
SECRET = "whsec_" + base64.b64encode(bytes([7] * 32)).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes([9] * 32)).decode()
BODY = '{"type":"invoice.paid","timestamp":"2026-01-31T00:00:00Z","data":{"amount":12.50,"name":"Zoë"}}'


def signed(body=BODY, at=NOW, secret=SECRET, id="evt_1"):
    raw = body.encode() if isinstance(body, str) else body
    key = base64.b64decode(secret[len("whsec_") :])
    signature = base64.b64encode(hmac.new(key, f"{id}.{at}.".encode() + raw, hashlib.sha256).digest()).decode()
    return {"webhook-id": id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}


def checked(body, headers, secret=SECRET, **options):
    return verify(body, headers, secret, now=lambda: NOW, **options)


class Verify(unittest.TestCase):
    def refused(self, code, body, headers, secret=SECRET, **options):
        with self.assertRaises(RefusedWebhookError) as raised:
            checked(body, headers, secret, **options)
        self.assertEqual(raised.exception.code, code, str(raised.exception))

    def test_what_others_signed(self):
        path = os.environ.get("WEBHOOK_VECTORS")
        self.assertIsNotNone(path, "WEBHOOK_VECTORS names a file of signed webhooks: run `npm test -- python`")
        with open(path, encoding="utf-8") as file:
            vectors = json.load(file)
        self.assertGreater(len(vectors), 4)
        for vector in vectors:
            with self.subTest(vector["what"]):
                body = base64.b64decode(vector["body"])
                now = vector["now_s"]
                if vector["code"] is None:
                    webhook = verify(body, vector["headers"], vector["secret"], now=lambda: now)
                    self.assertEqual((webhook.form, [event.id for event in webhook.events]), (vector["form"], vector["ids"]))
                    continue
                with self.assertRaises(RefusedWebhookError) as raised:
                    verify(body, vector["headers"], vector["secret"], now=lambda: now)
                self.assertEqual(raised.exception.code, vector["code"])

    def test_text_bytes_and_headers_of_any_case(self):
        upper = {name.upper(): value for name, value in signed().items()}
        for body in (BODY, BODY.encode(), bytearray(BODY.encode()), memoryview(BODY.encode())):
            for headers in (signed(), upper):
                webhook = checked(body, headers)
                self.assertEqual((webhook.form, webhook.id, webhook.signed_at_s), ("single", "evt_1", NOW))
                (event,) = webhook.events
                self.assertEqual((event.id, event.type, event.data), ("evt_1", "invoice.paid", {"amount": 12.5, "name": "Zoë"}))

    def test_one_signature_of_several_and_one_secret_of_several(self):
        own = signed()["webhook-signature"]
        other = signed(secret=OTHER_SECRET)["webhook-signature"]
        for field in (f"{other} {own}", f"v1a,AAAA v2,x {own} v1,short", " ".join([own] * 16)):
            checked(BODY, {**signed(), "webhook-signature": field})
        checked(BODY, signed(), [OTHER_SECRET, SECRET])
        self.refused("invalid-signature", BODY, {**signed(), "webhook-signature": " ".join([own] * 17)})

    def test_whatever_was_changed_is_refused(self):
        fits = "no-signature-fits"
        self.refused(fits, BODY.replace("12.50", "12.5"), signed())
        self.refused(fits, BODY, {**signed(), "webhook-id": "evt_2"})
        self.refused(fits, BODY, {**signed(), "webhook-timestamp": str(NOW + 1)})
        self.refused(fits, BODY, signed(secret=OTHER_SECRET))
        given = signed()["webhook-signature"]
        for place in (3, 20, len(given) - 2):
            changed = given[:place] + ("B" if given[place] == "A" else "A") + given[place + 1 :]
            self.refused(fits, BODY, {**signed(), "webhook-signature": changed})

    def test_a_header_that_is_missing_empty_or_of_another_form_is_named(self):
        for name in signed():
            others = {key: value for key, value in signed().items() if key != name}
            for headers in (others, {**others, name: ""}):
                with self.assertRaisesRegex(RefusedWebhookError, f"the header {name} is missing"):
                    checked(BODY, headers)
        for text in ("soon", "-1", "1e9", "1770000000.5", "01770000000", "1770000000000", "１７７", "1770000000\n"):
            self.refused("invalid-timestamp", BODY, {**signed(), "webhook-timestamp": text})
        own = signed()["webhook-signature"]
        for text in ("v1,", "v1", "v2,AAAA", own.replace("v1,", "v1a,"), own.replace("=", ""), " ", own + "\n"):
            self.refused("invalid-signature", BODY, {**signed(), "webhook-signature": text})

    def test_a_time_is_believed_up_to_the_tolerance_both_ways(self):
        for tolerance_s, age_s, code in (
            (300, 300, None),
            (300, -300, None),
            (300, 301, "too-old"),
            (300, -301, "too-new"),
            (10, 11, "too-old"),
        ):
            headers = signed(at=NOW - age_s)
            if code is None:
                checked(BODY, headers, tolerance_s=tolerance_s)
            else:
                self.refused(code, BODY, headers, tolerance_s=tolerance_s)

    def test_a_genuine_body_that_is_no_event_is_refused_as_such(self):
        for body in (
            "",
            "null",
            "[]",
            "{",
            "[" * 100_000,
            '{"type":"a","timestamp":"b"}',
            '{"type":1,"timestamp":"b","data":1}',
            '{"type":"posthaste.batch","timestamp":"b","data":{}}',
            '{"type":"posthaste.batch","timestamp":"b","data":[{"type":"a","timestamp":"b","data":1}]}',
            BODY.encode("latin-1"),
        ):
            self.refused("invalid-body", body, signed(body))

    def test_what_is_wrong_on_this_side_is_no_refusal(self):
        with self.assertRaisesRegex(TypeError, "as it came"):
            checked(json.loads(BODY), signed())
        for secret in ("", "plain", SECRET[6:], SECRET + "=", SECRET.replace("=", ""), SECRET + "\n", []):
            with self.subTest(secret=secret), self.assertRaises(ValueError):
                checked(BODY, signed(), secret)
        for bytes_count in (23, 65):
            with self.assertRaisesRegex(ValueError, f"24 to 64 bytes, and this one {bytes_count}"):
                checked(BODY, signed(), "whsec_" + base64.b64encode(bytes(bytes_count)).decode())
        with self.assertRaises(ValueError):
            checked(BODY, signed(), [SECRET] * 9)
        for tolerance_s in (0, 3601, float("nan")):
            with self.assertRaises(ValueError):
                checked(BODY, signed(), tolerance_s=tolerance_s)
