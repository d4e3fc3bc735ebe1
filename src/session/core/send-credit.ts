// This file is the credit held towards the peer, for one stream or for the session. PROTOCOL §5; compare RFC 9000 §4.1.

/** An absolute limit and what was used of it, in bytes. A repeat of bytes already counted costs nothing. */
export class SendCredit {
  limit: number;
  used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get left(): number {
    return this.limit - this.used;
  }

  /** Applies an announced limit; old and repeated ones change nothing. Returns true when there is more than before. */
  raise(limit: number): boolean {
    if (limit <= this.limit) return false;
    this.limit = limit;
    return true;
  }
}
