"""One request over real sockets."""

import socket
import threading
import time
import unittest
from http.client import HTTPException

from posthaste_client import Client, ProblemError
from posthaste_client.transport import http_transport


class Server:
    """Answers each connection with the given bytes, and closes it when `is_closing`; `received` has what came.

    When `is_dripping` one byte after the other follows, until the caller is gone.
    """

    def __init__(self, answer, is_closing=True, is_dripping=False):
        self.answer = answer
        self.is_closing = is_closing
        self.is_dripping = is_dripping
        self.received = []
        self.open = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1/events"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.received.append(connection.recv(65536))
            connection.sendall(self.answer)
            if self.is_dripping:
                drip(connection)
            if self.is_closing:
                connection.close()
            else:
                self.open.append(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.open:
            connection.close()


def drip(connection):
    try:
        while True:
            connection.sendall(b"x")
            time.sleep(0.01)
    except OSError:
        return


class Transport(unittest.TestCase):
    def test_status_headers_and_body_come_back(self):
        with Server(b"HTTP/1.1 202 Accepted\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\n{}") as server:
            response = http_transport("POST", server.url, {"x-a": "b"}, b"body", 5)
            self.assertEqual((response.status, response.headers["retry-after"], response.body), (202, "3", b"{}"))
            self.assertRegex(server.received[0].decode(), r"(?s)^POST /v1/events HTTP/1\.1\r\n.*x-a: b\r\n.*")

    def test_a_redirect_is_not_followed_so_that_the_key_goes_to_nobody_else(self):
        with Server(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n") as server:
            with self.assertRaises(ProblemError) as raised:
                Client(server.url[: -len("/v1/events")], "phk_1").events.list()
            self.assertEqual((raised.exception.status, raised.exception.code), (307, "unexpected-answer"))
            self.assertEqual(len(server.received), 1)

    def test_an_answer_that_breaks_off_is_none(self):
        with Server(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}") as server:
            with self.assertRaises((OSError, HTTPException)):
                http_transport("GET", server.url, {}, None, 5)

    def test_an_answer_that_does_not_end_in_time_is_none(self):
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}"):
            with self.subTest(answer=answer), Server(answer, is_closing=False) as server:
                with self.assertRaises(OSError):
                    http_transport("GET", server.url, {}, None, 0.1)

    def test_a_body_that_never_ends_is_given_up_though_something_always_comes(self):
        endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        with Server(endless, is_dripping=True) as server, self.assertRaises(OSError):
            http_transport("GET", server.url, {}, None, 0.2)

    def test_an_answer_past_the_bound_is_none(self):
        large = b"HTTP/1.1 200 OK\r\nContent-Length: 33554433\r\n\r\n" + b"x" * 33554433
        with Server(large) as server, self.assertRaisesRegex(OSError, "more than 33554432 bytes"):
            http_transport("GET", server.url, {}, None, 30)
