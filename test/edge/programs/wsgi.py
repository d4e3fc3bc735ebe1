"""A WSGI application on the server of Python's own library: says what it is told of the fields of a request.

Usage: python3 wsgi.py. Writes "listening PORT"; each answer is lines NAME=value.
"""

from wsgiref.simple_server import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Standard error is for what went wrong."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=latin1")])
    told = sorted((name, value) for name, value in environ.items() if name.startswith("HTTP_"))
    return ["".join(f"{name}={value}\n" for name, value in told).encode("latin1")]


with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
    print(f"listening {server.server_port}", flush=True)
    server.serve_forever()
