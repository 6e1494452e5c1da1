#!/usr/bin/env python3
"""A module in Python's standard library: anything that speaks HTTP on $PORT can be one."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

folder = pathlib.Path(os.environ["TRELLIS_DATA_DIR"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/hold"):
            # Says that it has the request, then answers once it is let go.
            (folder / "holding").touch()
            while not (folder / "let-go").exists():
                time.sleep(0.01)
        names = ["TRELLIS_INSTANCE", "TRELLIS_MODULES", "TRELLIS_PHASE", "DATABASE_URL", "GREETING"]
        body = json.dumps({"path": self.path, "pid": os.getpid(), **{n: os.environ.get(n) for n in names}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.path.startswith("/forged"):
            self.send_header("Trellis-Proxy", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if "GRANDCHILD" in os.environ:
    child = subprocess.Popen(["sleep", "600"])
    (folder / "grandchild").write_text(str(child.pid))

server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(json.dumps({"level": "WARN", "message": "listening", "colour": "green"}), flush=True)
print("a plain line", file=sys.stderr, flush=True)
server.serve_forever()
