// This file is a Node program, run by Bun as well: an HTTP server that says of each request on stdout what it took it for.
// Usage: node recorder.mjs
import { createHash } from "node:crypto";
import http from "node:http";

/** The first value of a field, null if there is none: names as they came, in any case. */
function value(rawHeaders, name) {
  for (let index = 0; index < rawHeaders.length; index += 2)
    if (rawHeaders[index].toLowerCase() === name) return rawHeaders[index + 1];
  return null;
}

const server = http.createServer({ maxHeaderSize: 65_536 }, (request, response) => {
  const hash = createHash("sha256");
  let length = 0;
  request.on("data", (bytes) => {
    length += bytes.length;
    hash.update(bytes);
  });
  request.on("end", () => {
    const { method, url, rawHeaders } = request;
    const record = {
      id: value(rawHeaders, "x-tunl-request-id"),
      item: value(rawHeaders, "x-item"),
      method,
      target: url,
      host: value(rawHeaders, "host"),
      length,
      sha256: hash.digest("hex"),
    };
    console.log(`request ${JSON.stringify(record)}`);
    // The answer says whose it is.
    const body = record.item ?? "";
    response.writeHead(200, { "content-length": body.length });
    response.end(method === "HEAD" ? undefined : body);
  });
  request.on("close", () => {
    if (!request.complete) console.log("fault a request was cut");
  });
});
// Whatever is not one of the requests: the differential test wants none.
server.on("clientError", (error, socket) => {
  if (error.code !== "ECONNRESET") console.log(`fault ${error.code} ${error.message}`);
  socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
});
server.on("upgrade", (request, socket) => {
  console.log(`fault an upgrade to ${request.headers.upgrade}`);
  socket.destroy();
});
server.on("checkContinue", (request, response) => {
  console.log("fault an Expect came through");
  response.writeHead(417, { "content-length": 0 }).end();
});
server.maxHeadersCount = 0;
server.keepAliveTimeout = 60_000;
server.requestTimeout = 0;
server.listen({ host: "127.0.0.1", port: 0 }, () =>
  console.log(`listening ${server.address().port}`),
);
