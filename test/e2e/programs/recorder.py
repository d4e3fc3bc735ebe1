# This file is Python's own HTTP server, saying of each request on stdout what it took it for.
# Usage: python3 recorder.py
import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave together.
    wbufsize = 65536

    def __getattr__(self, name):
        # Any method: the base class looks for do_METHOD.
        if name.startswith("do_"):
            return self.record
        raise AttributeError(name)

    def record(self):
        body = self.body()
        say("request " + json.dumps({
            "id": self.headers["x-tunl-request-id"],
            "item": self.headers["x-item"],
            "method": self.command,
            # `path` has leading slashes joined, against open redirects; the line is as it came.
            "target": self.requestline.split(" ")[1],
            "host": self.headers["host"],
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }))
        # The answer says whose it is.
        answer = (self.headers["x-item"] or "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def body(self):
        coding = self.headers["transfer-encoding"]
        length = self.headers["content-length"]
        if coding is None:
            return self.exactly(int(length or 0))
        if coding != "chunked" or length is not None:
            say(f"fault framing {coding} {length}")
        pieces = []
        while True:
            size = int(self.rfile.readline().rstrip(b"\r\n"), 16)
            if size == 0:
                break
            pieces.append(self.exactly(size))
            if self.exactly(2) != b"\r\n":
                say("fault no line end behind a chunk")
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        return b"".join(pieces)

    def exactly(self, size):
        data = self.rfile.read(size)
        if len(data) != size:
            say(f"fault {len(data)} of {size} bytes")
        return data

    def send_error(self, code, message=None, explain=None):
        say(f"fault {code} {message}")
        super().send_error(code, message, explain)

    def log_message(self, *arguments):
        pass


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
server.daemon_threads = True
say(f"listening {server.server_address[1]}")
server.serve_forever()
