// This file is a program for lifecycle.test.ts: it stays as `tunl edge` does, and does what its first argument says.
import { exitCodeOf } from "../../src/cli/failure.ts";
import { live, Reported } from "../../src/cli/lifecycle.ts";
import { TunlError } from "../../src/errors.ts";

const what = process.argv[2];
const options = {
  level: "info",
  format: "json",
  file: undefined,
  isColored: false,
  showsHosts: false,
} as const;

try {
  await live(options, async (output, stay) => {
    let fail: (error: Error) => void = () => undefined;
    const done = new Promise<void>((_, reject) => (fail = reject));
    if (what === "faults") {
      // Both kinds of a fault that nobody catches, then the sign that the process went on.
      setTimeout(() => {
        setTimeout(() => output.log.info("next", "still here"), 0);
        void Promise.reject(new Error("a rejection"));
        throw new Error("an exception");
      }, 0);
    }
    if (what === "refused")
      setTimeout(
        () =>
          fail(
            new TunlError("JOIN_REFUSED", "The edge refused this line", {
              hint: "Run tunl edge invite",
            }),
          ),
        0,
      );
    output.log.info("ready", "");
    const drain = async (): Promise<number> => {
      if (what === "slow") await new Promise((resolve) => setTimeout(resolve, 600_000));
      return what === "cut" ? 2 : 0;
    };
    await stay(
      { drain, inProgress: what === "slow" ? 1 : 0 },
      { graceMs: 30_000, forMs: what === "for" ? 1 : undefined, done },
    );
  });
  process.exit(0);
} catch (error) {
  process.exit(error instanceof Reported ? error.exitCode : exitCodeOf(error));
}
