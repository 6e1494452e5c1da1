"""A module for the platform with nothing but Python's standard library: it serves HTTP on $PORT."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/health":
            self.answer(200, {})
        elif url.path.startswith("/greetings/"):
            name = unquote(url.path.removeprefix("/greetings/"))
            times = int(parse_qs(url.query).get("times", ["1"])[0])
            greeting = ", ".join([f"hello {name}"] * times)
            module = os.environ.get("TRELLIS_MODULES")
            self.answer(200, {"greeting": greeting[:1].upper() + greeting[1:], "module": module})
        else:
            self.answer(404, {"title": "Not found", "status": 404})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.answer(200, json.loads(body))

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
