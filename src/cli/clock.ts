// This file is a time of day for people: 14:31 today, with the date on other days.

/** Formats in local time. */
export function clockTime(when: Date, now: Date): string {
  const clock = when.toTimeString().slice(0, 5);
  return when.toDateString() === now.toDateString() ? clock : `${localDate(when)} ${clock}`;
}

function localDate(when: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}
