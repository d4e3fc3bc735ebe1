// This file is what this executable is: version, commit and platform, written in by `scripts/build.ts`.

declare const TUNL_VERSION: string | undefined;
declare const TUNL_COMMIT: string | undefined;

/** Version of package.json; "source" when run without a build. */
export const VERSION: string = typeof TUNL_VERSION === "string" ? TUNL_VERSION : "source";

/** Short hash of the commit, with `+` when files were changed; "unknown" outside a checkout. */
export const COMMIT: string = typeof TUNL_COMMIT === "string" ? TUNL_COMMIT : "unknown";

/** Operating system and processor, as release files are named: "linux-x64". */
export const PLATFORM: string = `${process.platform}-${process.arch}`;
