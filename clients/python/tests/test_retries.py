"""Which calls are tried again, when, with what, and how often."""

import unittest
from datetime import datetime, timezone
from http.client import IncompleteRead

from posthaste_client import Client, NoAnswerError, ProblemError, Response

from .scripted_api import PUBLISHED, ScriptedApi, answer, problem

EVENT = {"type": "invoice.paid", "data": {"total": 12.5, "name": "Zoë"}}


class Publishing(unittest.TestCase):
    def test_goes_on_after_what_may_pass_with_the_same_bytes_under_the_same_key(self):
        for first in (
            problem(408, "request-timeout"),
            Response(425, {}, b""),
            problem(429, "rate-limited"),
            problem(409, "request-in-flight"),
            problem(500, "internal"),
            Response(502, {}, b"<html>"),
            problem(503, "store-unavailable"),
            ConnectionResetError("reset"),
            IncompleteRead(b"", 5),
            "silence",
            Response(200, {}, b"<html>"),
        ):
            with self.subTest(first=first):
                api = ScriptedApi(first, answer(202, PUBLISHED, idempotent_replayed="true"))
                published = api.client.publish(EVENT)
                self.assertEqual((published.id, published.is_replayed), ("evt_1", True))
                self.assertEqual(api.keys_sent(), ['"key-1"', '"key-1"'])
                expected = '{"type":"invoice.paid","data":{"total":12.5,"name":"Zoë"}}'.encode()
                self.assertEqual([body for *_, body in api.sent], [expected, expected])

    def test_tells_at_once_what_stays_wrong(self):
        for status, code in (
            (400, "invalid-json"),
            (401, "unauthenticated"),
            (404, "not-found"),
            (409, "conflict"),
            (413, "body-too-large"),
            (422, "validation-failed"),
            (501, "transfer-coding-not-supported"),
            (505, "version-not-supported"),
        ):
            with self.subTest(code=code):
                api = ScriptedApi(problem(status, code, retry_after="1"))
                with self.assertRaises(ProblemError) as raised:
                    api.client.publish(EVENT)
                error = raised.exception
                self.assertEqual((error.status, error.code, error.tries), (status, code, 1))
                self.assertEqual((error.idempotency_key, error.retry_after_s), ("key-1", 1.0))
                self.assertEqual(error.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736")
                self.assertEqual(str(error), f"{status} {code}: A detail.")

    def test_a_2xx_without_what_a_202_says_is_no_promise(self):
        api = ScriptedApi(answer(200, {}), answer(200, {"data": []}), Response(307, {}, b""))
        calls = (
            lambda: api.client.publish(EVENT),
            lambda: api.client.publish_batch([EVENT]),
            lambda: api.client.publish(EVENT),
        )
        for call in calls:
            with self.assertRaises(ProblemError) as raised:
                call()
            self.assertEqual((raised.exception.code, raised.exception.tries), ("unexpected-answer", 1))

    def test_each_publish_has_a_key_of_its_own_or_the_one_that_it_is_given(self):
        api = ScriptedApi(*(answer(202, PUBLISHED) for _ in range(3)))
        api.client.publish(EVENT)
        api.client.publish(EVENT)
        api.client.publish(EVENT, idempotency_key='a"b\\c')
        self.assertEqual(api.keys_sent(), ['"key-1"', '"key-2"', '"a\\"b\\\\c"'])
        with self.assertRaisesRegex(ValueError, "idempotency key"):
            api.client.publish(EVENT, idempotency_key="a b")

    def test_events_of_a_batch_that_a_store_did_not_take_are_sent_again_with_it(self):
        failed = {"status": 503, "problem": {"status": 503, "code": "store-unavailable"}}
        taken = {"status": 202, **PUBLISHED}
        wrong = {"status": 422, "problem": {"status": 422, "code": "validation-failed"}}
        api = ScriptedApi(answer(200, {"data": [taken, failed, wrong]}), answer(200, {"data": [taken, taken, wrong]}))
        self.assertEqual(api.client.publish_batch([EVENT, EVENT, EVENT]), [taken, taken, wrong])
        self.assertEqual(api.keys_sent(), ['"key-1"', '"key-1"'])
        end = ScriptedApi(answer(200, {"data": [failed]}), tries_max=1)
        self.assertEqual(end.client.publish_batch([EVENT]), [failed])


class Waiting(unittest.TestCase):
    def waits(self, random):
        steps = [problem(503, "stopping") for _ in range(9)]
        api = ScriptedApi(*steps, tries_max=9, total_s=3600, random=lambda: random)
        with self.assertRaises(ProblemError):
            api.client.publish(EVENT)
        return [later - earlier for earlier, later in zip(api.times(), api.times()[1:])]

    def test_waits_double_from_a_quarter_of_a_second_half_of_each_by_chance_up_to_eight(self):
        self.assertEqual(self.waits(0.0), [0.125, 0.25, 0.5, 1, 2, 4, 4, 4])
        self.assertEqual(self.waits(0.5), [0.1875, 0.375, 0.75, 1.5, 3, 6, 6, 6])

    def test_retry_after_is_obeyed_in_seconds_and_as_a_date(self):
        start = datetime(2026, 1, 31, 12, tzinfo=timezone.utc).timestamp()
        api = ScriptedApi(
            problem(429, "rate-limited", retry_after="7"),
            problem(503, "overloaded", retry_after="Sat, 31 Jan 2026 12:00:20 GMT"),
            problem(503, "overloaded", retry_after="soon"),
            answer(202, PUBLISHED),
            start=start,
        )
        api.client.publish(EVENT)
        self.assertEqual(api.times(), [0, 7, 20, 20.5])

    def test_no_more_tries_than_allowed(self):
        api = ScriptedApi(*(problem(503, "overloaded") for _ in range(3)), tries_max=3)
        with self.assertRaises(ProblemError) as raised:
            api.client.publish(EVENT)
        self.assertEqual((raised.exception.tries, len(api.sent)), (3, 3))

    def test_no_wait_ends_past_the_total_time(self):
        api = ScriptedApi(problem(429, "rate-limited", retry_after="61"))
        with self.assertRaises(ProblemError):
            api.client.publish(EVENT)
        self.assertEqual(api.now_s, 0)

    def test_a_try_has_its_own_time_and_the_last_what_is_left(self):
        api = ScriptedApi("silence", "silence", "silence", try_s=10, total_s=15)
        with self.assertRaises(NoAnswerError) as raised:
            api.client.publish(EVENT)
        self.assertEqual((raised.exception.tries, raised.exception.idempotency_key), (2, "key-1"))
        self.assertEqual(api.times(), [0, 10.125])
        self.assertEqual(str(raised.exception), "no answer after 2 tries: silent for 4.875 s")
        self.assertIsInstance(raised.exception.__cause__, TimeoutError)


class Repeating(unittest.TestCase):
    def test_calls_that_are_the_same_twice_as_once_go_on(self):
        for name, call in (
            ("list", lambda client: client.events.list()),
            ("resend", lambda client: client.events.resend("evt_1")),
            ("cancel", lambda client: client.events.cancel("evt_1")),
            ("update", lambda client: client.endpoints.update("ep_1", {"paused": True})),
            ("delete", lambda client: client.endpoints.delete("ep_1")),
            ("delete", lambda client: client.dead_letters.delete("dlv_1")),
        ):
            with self.subTest(name=name):
                good = answer(200, {"data": [], "next_cursor": None})
                api = ScriptedApi(OSError("reset"), problem(500, "internal"), good)
                call(api.client)
                self.assertEqual(set(api.keys_sent()), {'"key-1"'} if name == "resend" else {None})
                self.assertEqual(len(api.sent), 3)

    def test_others_go_on_only_when_it_is_certain_that_nothing_was_done(self):
        for name, call in (
            ("create", lambda client: client.endpoints.create({"url": "https://example.com/"})),
            ("rotate_secret", lambda client: client.endpoints.rotate_secret("ep_1")),
            ("test", lambda client: client.endpoints.test("ep_1")),
            ("replay", lambda client: client.dead_letters.replay("dlv_1")),
            ("replay_all", lambda client: client.dead_letters.replay_all()),
        ):
            for step in (OSError("reset"), problem(500, "internal"), problem(503, "store-unavailable")):
                with self.subTest(name=name, step=step):
                    api = ScriptedApi(step)
                    with self.assertRaises((ProblemError, NoAnswerError)):
                        call(api.client)
                    self.assertEqual(len(api.sent), 1)
            with self.subTest(name=name):
                refused = (problem(429, "rate-limited"), problem(503, "overloaded"), problem(503, "stopping"))
                api = ScriptedApi(*refused, answer(200, {}))
                self.assertEqual(call(api.client), {})

    def test_what_a_try_without_an_answer_may_have_removed_is_gone(self):
        api = ScriptedApi(OSError("reset"), problem(404, "not-found"), problem(404, "not-found"))
        api.client.endpoints.delete("ep_1")
        with self.assertRaises(ProblemError):
            api.client.endpoints.delete("ep_1")


class Sending(unittest.TestCase):
    def test_queries_name_what_is_given_and_the_tenant(self):
        page = answer(200, {"data": [], "next_cursor": None})
        api = ScriptedApi(page, page, tenant="acme")
        since = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
        api.client.events.list(type="a.b", since=since, limit=5)
        api.client.events.list(tenant="beta")
        urls = [url for _, _, url, _, _ in api.sent]
        first = "http://api.test/v1/events?type=a.b&since=2026-01-31T12%3A00%3A00%2B00%3A00&limit=5&tenant=acme"
        self.assertEqual(urls, [first, "http://api.test/v1/events?tenant=beta"])

    def test_an_id_that_would_lead_to_another_path_is_not_sent(self):
        api = ScriptedApi()
        for id in ("..", ".", "", "a/b", "a?b", "a%2fb", "a" * 129, "a\n"):
            with self.assertRaises(ValueError):
                api.client.events.get(id)
        self.assertEqual(api.sent, [])

    def test_what_has_no_form_in_json_is_not_sent(self):
        api = ScriptedApi()
        for data in (float("nan"), object(), datetime(2026, 1, 31)):
            with self.assertRaises((TypeError, ValueError)):
                api.client.publish({"type": "a", "data": data})
        self.assertEqual(api.sent, [])

    def test_options_that_are_wrong_are_named(self):
        for options, named in (
            ({"url": "api.test"}, "url"),
            ({"url": "ftp://api.test"}, "url"),
            ({"url": "https://user:pass@api.test"}, "url"),
            ({"url": "https://api.test/?a=1"}, "url"),
            ({"api_key": ""}, "api_key"),
            ({"api_key": "phk_1\r\nx: y"}, "api_key"),
            ({"tries_max": 0}, "tries_max"),
            ({"tries_max": 21}, "tries_max"),
            ({"try_s": float("nan")}, "try_s"),
            ({"total_s": 3601}, "total_s"),
        ):
            with self.subTest(options=options), self.assertRaisesRegex(ValueError, f"^{named} must"):
                Client(**{"url": "https://api.test/base/", "api_key": "phk_1", **options})
