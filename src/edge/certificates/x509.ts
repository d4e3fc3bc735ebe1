// This file is the one door to @peculiar/x509, which makes certificates and requests for them. dependencies.md §1 row 2, §4 rule 3.

/** The library costs 7 MB and 32 ms, so it is loaded when something is to be made and not before. */
export async function loadX509(): Promise<typeof import("@peculiar/x509")> {
  // Its dependency injection reads metadata at import (dependencies.md §0 trap 5): the order is part of the meaning.
  await import("reflect-metadata");
  return import("@peculiar/x509");
}
