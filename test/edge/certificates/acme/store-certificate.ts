// This file is a process that saves one certificate, to be killed while it does: `storage.test.ts`.
import { CertificateStorage } from "../../../../src/edge/certificates/acme/storage.ts";

const state = process.argv[2];
if (state === undefined) throw new Error("Say where");
const pair = JSON.parse(process.env["TUNL_PAIR"] ?? "");
await new CertificateStorage(state).save(pair.names[0], pair);
