import { describe, expect, test } from "bun:test";
import { add, failuresIn, fault, parseTotals, summary } from "../../scripts/rings.ts";

const OUTPUT = `
test/a.test.ts:
 7 pass
(pass) prints a line like the totals [0.10ms]

 116 pass
 3 skip
 1 todo
 2 fail
 1 error
 2588 expect() calls
Ran 122 tests across 6 files. [592.00ms]
`;

describe("rings", () => {
  test("reads the last totals; errors outside of tests are failures", () => {
    expect(parseTotals(OUTPUT)).toEqual({ passed: 116, failed: 3, skipped: 4 });
    expect(parseTotals("(pass) a > b [1ms]\n(pass) c [1ms]\n(fail) d [1ms]\n")).toEqual({
      passed: 2,
      failed: 1,
      skipped: 0,
    });
    expect(parseTotals("")).toEqual({ passed: 0, failed: 0, skipped: 0 });
  });

  test("tells each failure again, with its file and its reason, once", () => {
    const told = [
      ...[
        "test/a.test.ts:",
        "noise",
        "(pass) a > one [1ms]",
        "error: not 2",
        "(fail) a > two [1ms]",
      ],
      ...["(skip) a > three", "", "test/b.test.ts:", "(pass) b [1ms]", "", "1 tests failed:"],
      "(fail) a > two [1ms]",
    ].join("\n");
    expect(failuresIn(told)).toEqual(["test/a.test.ts:\nerror: not 2\n(fail) a > two [1ms]"]);
    expect(failuresIn(OUTPUT)).toEqual([]);
  });

  test("a run without tests, past its limit or broken is a fault", () => {
    const none = { passed: 0, failed: 0, skipped: 0 };
    expect(fault(none, 0, undefined, 1_000)).toBe("ran no test (exit 0)");
    expect(fault({ ...none, skipped: 3 }, 0, undefined, 1_000)).toBe("skipped every test");
    expect(fault({ ...none, passed: 1 }, 137, "SIGKILL", 90_000)).toBe(
      "was ended by SIGKILL, allowed 90 s",
    );
    expect(fault({ ...none, passed: 1 }, 1, undefined, 1_000)).toBe(
      "ended with 1 though no test failed",
    );
    expect(fault({ ...none, passed: 1, failed: 1 }, 1, undefined, 1_000)).toBeUndefined();
    expect(fault({ ...none, passed: 1 }, 0, undefined, 1_000)).toBeUndefined();
  });

  test("sums and ends with the plain line", () => {
    const totals = add({ passed: 1, failed: 0, skipped: 0 }, { passed: 2, failed: 1, skipped: 3 });
    expect(summary(totals)).toBe("3 passed, 1 failed, 3 skipped");
    expect(summary({ passed: 5, failed: 0, skipped: 0 })).toBe("5 passed, 0 failed");
  });
});
