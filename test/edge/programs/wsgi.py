"""What a WSGI application is told of given requests, by the server of Python's own library.

Usage: python3 wsgi.py FILE. The file has a list of requests in base64; the answer is one line of JSON, a list of environments.
"""

import base64
import json
import socket
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

with open(sys.argv[1], encoding="utf-8") as file:
    requests = [base64.b64decode(each) for each in json.load(file)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Standard error is for what went wrong."""


def application(environ, start_response):
    told = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode("utf-8")]


def ask(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        while True:
            chunk = connection.recv(65536)
            if not chunk:
                break
            answer += chunk
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps([ask(server.server_port, request) for request in requests]))
    server.shutdown()
