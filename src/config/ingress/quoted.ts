// This file is how a value of the file is shown in a message.

/** Numbers bare, words in quotes, as in the file; long ones cut. */
export function quoted(text: string): string {
  if (/^-?\d{1,20}(?:\.\d{1,20})?$/.test(text)) return text;
  return JSON.stringify(text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`);
}

const MAX_QUOTED = 100;
