# This file is a relay from plain TCP to TLS: for programs that speak TLS without a server name, which the edge refuses.
# Usage: tls-relay.py EDGE_PORT SERVER_NAME CA_FILE; says "listening PORT" when it is ready.
#
# It holds next to nothing: small buffers of its own and of the kernel on both sides, so that a client that does not read
# is one to the edge, too.
import asyncio
import socket
import ssl
import sys

edge, name, ca = int(sys.argv[1]), sys.argv[2], sys.argv[3]
SMALL = 4096
context = ssl.create_default_context(cafile=ca)


async def pump(reader, writer):
    try:
        while data := await reader.read(SMALL):
            writer.write(data)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass  # Either end went away: so does the other.
    finally:
        writer.close()


async def relay(reader, writer):
    try:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", edge))
        edge_reader, edge_writer = await asyncio.open_connection(
            sock=raw, ssl=context, server_hostname=name, limit=SMALL
        )
    except OSError:
        writer.close()
        return
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    for each in (writer, edge_writer):
        each.transport.set_write_buffer_limits(high=SMALL)
    await asyncio.gather(pump(reader, edge_writer), pump(edge_reader, writer))


async def main():
    server = await asyncio.start_server(relay, "127.0.0.1", 0, limit=SMALL, backlog=1024)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
