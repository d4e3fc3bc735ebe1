"""What h11 reads in given bytes.

Usage: python3 h11.py FILE. The file has {connections: base64[], responses: {method, bytes, isLast}[]}; the answer is one line of JSON.
"""

import base64
import json
import sys

# The name of this file would hide the module.
sys.path = [path for path in sys.path if not path.endswith("judges")]
import h11  # noqa: E402

with open(sys.argv[1], encoding="utf-8") as file:
    given = json.load(file)


def pairs(headers):
    return [[name.decode("latin1"), value.decode("latin1")] for name, value in headers.raw_items()]


def read_message(connection, seen):
    """Reads on until the message is whole; True when it is."""
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA or event is h11.PAUSED:
            return False
        if isinstance(event, h11.ConnectionClosed):
            return False
        if isinstance(event, h11.Request):
            seen["method"] = event.method.decode("latin1")
            seen["target"] = event.target.decode("latin1")
            seen["version"] = event.http_version.decode("latin1")
            seen["fields"] = pairs(event.headers)
        elif isinstance(event, h11.InformationalResponse):
            seen["interim"].append(event.status_code)
        elif isinstance(event, h11.Response):
            seen["status"] = event.status_code
            seen["reason"] = event.reason.decode("latin1")
            seen["version"] = event.http_version.decode("latin1")
            seen["fields"] = pairs(event.headers)
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            seen["body"] = base64.b64encode(body).decode("ascii")
            seen["trailers"] = pairs(event.headers)
            return True


def judge_requests(data):
    judged = {"requests": [], "error": None}
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
    connection.receive_data(data)
    connection.receive_data(b"")
    try:
        while True:
            seen = {}
            is_whole = read_message(connection, seen)
            if not is_whole:
                return judged
            judged["requests"].append(seen)
            connection.send(h11.Response(status_code=204, headers=[]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is h11.MUST_CLOSE:
                return judged
            connection.start_next_cycle()
    except h11.ProtocolError as error:
        judged["error"] = str(error)
        return judged


def judge_response(response):
    seen = {"interim": [], "error": None}
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=65536)
    connection.send(
        h11.Request(method=response["method"], target="/", headers=[("Host", "a"), ("Content-Length", "0")])
    )
    connection.send(h11.EndOfMessage())
    try:
        connection.receive_data(base64.b64decode(response["bytes"]))
        if response["isLast"]:
            connection.receive_data(b"")
        if not read_message(connection, seen):
            seen["error"] = "the response is not whole"
        elif connection.trailing_data[0] != b"":
            seen["error"] = "bytes behind the response"
    except h11.ProtocolError as error:
        seen["error"] = str(error)
    return seen


print(
    json.dumps(
        {
            "connections": [judge_requests(base64.b64decode(each)) for each in given["connections"]],
            "responses": [judge_response(each) for each in given["responses"]],
        }
    )
)
