"""Every call against a real Posthaste: POSTHASTE_URL, and POSTHASTE_KEY of an operator."""

import os
import unittest
import uuid
from datetime import datetime, timedelta, timezone

from posthaste_client import Client, ProblemError, rows_of


class Gateway(unittest.TestCase):
    def setUp(self):
        url, key = os.environ.get("POSTHASTE_URL"), os.environ.get("POSTHASTE_KEY")
        self.assertTrue(url and key, "POSTHASTE_URL and POSTHASTE_KEY name a server: run `npm test -- python`")
        # Each test has a tenant of its own.
        self.client = Client(url, key, tenant=f"t-{uuid.uuid4().hex[:12]}")

    def refusal(self, call):
        with self.assertRaises(ProblemError) as raised:
            call()
        return raised.exception

    def test_publish_is_once_under_one_key_and_refusals_name_the_place(self):
        event = {"type": "invoice.paid", "data": {"total": 12.5}, "priority": "HIGH", "id": "inv-1"}
        first = self.client.publish(event, idempotency_key='k"1')
        self.assertEqual((first.id, first.lane, first.is_replayed), ("inv-1", "high", False))
        again = self.client.publish(event, idempotency_key='k"1')
        self.assertEqual((again.id, again.is_replayed), ("inv-1", True))
        refused = self.refusal(lambda: self.client.publish({"type": "not a type", "data": None}))
        self.assertEqual((refused.status, refused.code), (422, "validation-failed"))
        self.assertEqual(refused.errors[0]["pointer"], "#/type")

    def test_a_batch_has_one_result_for_each_event(self):
        results = self.client.publish_batch([{"type": "a", "data": 1}, {"type": "b!", "data": 2}])
        self.assertEqual([result["status"] for result in results], [202, 422])
        self.assertEqual(results[1]["problem"]["code"], "validation-failed")

    def test_endpoints(self):
        endpoints = self.client.endpoints
        made = endpoints.create({"url": "https://example.com/hooks", "event_types": ["invoice.*"], "paused": True})
        self.assertRegex(made["secret"], "^whsec_")
        self.assertEqual(endpoints.get(made["id"])["url"], "https://example.com/hooks")
        self.assertEqual(endpoints.update(made["id"], {"description": "billing"})["description"], "billing")
        rotated = endpoints.rotate_secret(made["id"])
        self.assertNotEqual(rotated["secret"], made["secret"])
        self.assertEqual([row["id"] for row in endpoints.list(status="paused").data], [made["id"]])
        self.assertEqual(self.refusal(lambda: endpoints.test(made["id"])).code, "conflict")
        endpoints.delete(made["id"])
        self.assertEqual(self.refusal(lambda: endpoints.get(made["id"])).code, "not-found")

    def test_events(self):
        events = self.client.events
        endpoint = self.client.endpoints.create({"url": "https://example.com/hooks", "event_types": ["other.type"]})
        ids = [self.client.publish({"type": "a.b", "data": data}).id for data in (1, 2, 3)]
        later = datetime.now(timezone.utc) + timedelta(hours=1)
        planned = self.client.publish({"type": "a.c", "data": None, "deliver_at": later})
        pages = rows_of(lambda cursor: events.list(type="a.b", limit=1, cursor=cursor))
        self.assertEqual(sorted(row["id"] for row in pages), sorted(ids))
        shown = events.get(ids[0], include=["data", "filtered"])
        self.assertEqual((shown["id"], shown["data"]), (ids[0], 1))
        self.assertEqual(events.why(ids[0], endpoint["id"])["decisions"][0]["on"], "event")
        refused = self.refusal(lambda: events.resend(ids[0], endpoint_id=endpoint["id"]))
        self.assertEqual(refused.code, "conflict")
        self.assertEqual(events.cancel(planned.id)["state"], "cancelled")

    def test_dead_letters(self):
        dead_letters = self.client.dead_letters
        self.assertEqual(dead_letters.list(state="dead").data, [])
        counted = dead_letters.replay_all(state="dead", dry_run=True)
        self.assertEqual((counted["matched"], counted["has_more"]), (0, False))
        missing = f"dlv_{'0' * 26}"
        for call in (dead_letters.get, dead_letters.replay, dead_letters.delete):
            self.assertEqual(self.refusal(lambda: call(missing)).code, "not-found")
