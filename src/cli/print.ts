// This file is text written whole to stdout or stderr before the process ends: `process.exit` cuts what a pipe did not take yet.
import { DescriptorSink } from "./writer.ts";

/** Writes to stdout; a reader that is gone is no error. */
export function printAnswer(text: string): Promise<void> {
  return print(1, text);
}

/** Writes to stderr. */
export function printError(text: string): Promise<void> {
  return print(2, text);
}

/** One JSON document on stdout. */
export function printJson(value: unknown): Promise<void> {
  return printAnswer(`${JSON.stringify(value, undefined, 2)}\n`);
}

function print(descriptor: number, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    new DescriptorSink(descriptor).write(Buffer.from(text), (error) => {
      // `tunl --help | head -1` closed the pipe, a service manager closed the descriptor: nobody wants the rest.
      if (error === undefined || error.code === "EPIPE" || error.code === "EBADF") resolve();
      else reject(error);
    });
  });
}
