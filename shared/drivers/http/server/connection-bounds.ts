/** How long a connection of a caller may take for each of its parts, and how many requests of it may wait. */

/** From a request's first byte to its last; longer than any handler of ours waits for a body. */
export const REQUEST_MS_MAX = 30_000;
/** Without a request. */
export const IDLE_MS_MAX = 30_000;
/** For the caller to read what was written; of a streamed answer, each piece. */
export const UNREAD_MS_MAX = 30_000;
/** Requests of one connection that wait for their turn; what comes behind is not taken, and the connection ends. */
export const WAITING_MAX = 64;
/** For the caller to read the last answer before the socket is closed (RFC 9112 section 9.6). */
export const LINGER_MS_MAX = 2000;
