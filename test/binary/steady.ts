// This file is output without what differs from run to run, so that a golden file can hold the rest.

/**
 * Replaces homes by ~, ports by their names, and every version, key, id, time and code by a word.
 *
 * @param ports Name to number.
 */
export function steady(
  text: string,
  homes: readonly string[],
  ports: Readonly<Record<string, number>>,
): string {
  let plain = text;
  for (const home of homes) plain = plain.replaceAll(home, "~");
  for (const [name, port] of Object.entries(ports)) plain = plain.replaceAll(String(port), name);
  return plain
    .replaceAll(/tunl \d+\.\d+\.\d+/g, "tunl VERSION")
    .replaceAll(/(VERSION {2}connector {2}).*/g, "$1MACHINE")
    .replaceAll(/(logged in {4}as )"[^"]*"/g, '$1"MACHINE"')
    .replaceAll(/as tunnel "[^"]*"/g, 'as tunnel "MACHINE"')
    .replaceAll(/\b[a-z2-7]{26}\b/g, "FINGERPRINT")
    .replaceAll(/\b[0-9a-f]{32}\b/g, "REQUEST")
    .replaceAll(/(draining {5}).*/g, "$1…")
    .replaceAll(/\d\d:\d\d:\d\d/g, "CLOCK")
    .replaceAll(/until \d\d:\d\d/g, "until CLOCK")
    .replaceAll(/\(pid \d+\)/g, "(pid PID)")
    .replaceAll(/\b\d+(?:\.\d+)? (?:ms|s|min)\b/g, "TIME");
}
