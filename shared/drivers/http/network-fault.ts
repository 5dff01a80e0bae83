/**
 * From an error of the network to a `Fault` and one sentence for the endpoint's owner. Codes are those of undici 8
 * (`UND_ERR_*`) and libuv; undici's parser error has a name and, in 8.12, no code.
 */
import type { Fault } from "../../domain/attempt.ts";
import { DeadlineExceeded } from "../../lib/ambient.ts";
import type { ConnectionTimes } from "./milestones.ts";
import { StaleConnection } from "./http-client.ts";
import { UnwritableRequest } from "./request-bytes.ts";
import { tlsDetail } from "./tls-fault.ts";

/** `Faulted.detail` is cut to this many characters. */
export const DETAIL_CHARACTERS_MAX = 500;

/** Why a connection could not be made; carries its fault so that nothing guesses from a message. */
export class ConnectFault extends Error {
  readonly fault: Fault;
  /** How far it came. */
  readonly times: ConnectionTimes | null;
  constructor(fault: Fault, detail: string, times: ConnectionTimes | null = null) {
    super(detail);
    this.times = times;
    this.name = "ConnectFault";
    this.fault = fault;
  }
}

/** This machine has no address of the family, whichever the receiver: of several failures it says least. */
export class NoSuchFamily extends ConnectFault {
  constructor(family: "IPv4" | "IPv6") {
    super("unreachable", `the receiver is reached over ${family}, of which this machine has no address`);
    this.name = "NoSuchFamily";
  }
}

/** The receiver answered with something that is not one HTTP answer. */
export class BadAnswer extends Error {
  constructor(detail: string) {
    super(detail);
    this.name = "BadAnswer";
  }
}

export interface DescribedFault {
  readonly fault: Fault;
  readonly detail: string;
}

export const CLOSED_EARLY = "the receiver closed the connection before the answer was complete";
export const NOT_HTTP = "the receiver sent something that is not an HTTP/1.1 answer";

export const OUT_OF_DESCRIPTORS = "this process has no file descriptor left";

/** Of this machine and not of the receiver: `connect(2)` and `socket(2)`. */
const exhausted: Readonly<Record<string, string>> = {
  EMFILE: OUT_OF_DESCRIPTORS,
  ENFILE: "this machine has no file descriptor left",
  ENOBUFS: "this machine has no room for another socket",
  ENOMEM: "this machine has no memory for another socket",
  EADDRNOTAVAIL: "this machine has no port left to call from",
};

const faultByCode: Readonly<Record<string, DescribedFault>> = {
  ECONNREFUSED: { fault: "connect-refused", detail: "the receiver refused the connection" },
  ECONNRESET: { fault: "reset", detail: "the receiver reset the connection" },
  ECONNABORTED: { fault: "reset", detail: "the connection was aborted" },
  EPIPE: { fault: "reset", detail: "the receiver closed the connection while the request was sent" },
  ETIMEDOUT: { fault: "timeout", detail: "the network gave up waiting for the receiver" },
  EHOSTUNREACH: { fault: "unreachable", detail: "no route to the receiver's host" },
  ENETUNREACH: { fault: "unreachable", detail: "no route to the receiver's network" },
  UND_ERR_SOCKET: { fault: "reset", detail: CLOSED_EARLY },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { fault: "reset", detail: CLOSED_EARLY },
  UND_ERR_HEADERS_OVERFLOW: { fault: "bad-answer", detail: "the header fields of the answer are too large" },
  UND_ERR_INVALID_ARG: { fault: "unreachable", detail: "the request cannot be written as HTTP" },
  UND_ERR_DESTROYED: { fault: "aborted", detail: "the sender is stopping" },
  UND_ERR_CLOSED: { fault: "aborted", detail: "the sender is stopping" },
};

/** Total. Words of an error that is not known are not passed on: the runtimes put addresses of ours into them. */
export function faultOf(error: unknown): DescribedFault {
  if (error instanceof ConnectFault) return described(error.fault, error.message);
  if (error instanceof UnwritableRequest) return described("unreachable", error.message);
  if (error instanceof StaleConnection) return described("reset", CLOSED_EARLY);
  if (error instanceof BadAnswer) return described("bad-answer", error.message);
  if (error instanceof DeadlineExceeded) {
    return described("timeout", `no complete answer came within ${error.afterMs} ms`);
  }
  const { name, code, message } = wordsOf(error);
  if (name === "HTTPParserError") {
    return message.includes("Invalid EOF") ? described("reset", CLOSED_EARLY) : described("bad-answer", NOT_HTTP);
  }
  if (code === "UND_ERR_SOCKET" && message.startsWith("bad ")) return described("bad-answer", NOT_HTTP);
  const ownDetail = exhausted[code];
  if (ownDetail !== undefined) return described("exhausted", ownDetail);
  // An alert of the receiver may come behind the handshake: in TLS 1.3 the refusal of a missing client certificate does.
  if (code.startsWith("ERR_SSL_")) return described("tls", tlsDetail(code));
  const isOfSystem = /^E[A-Z]+$/.test(code);
  return faultByCode[code] ?? described("unreachable", `the network failed${isOfSystem ? ` (${code})` : ""}`);
}

/** "" for what has none. */
export function codeOf(error: unknown): string {
  return wordsOf(error).code;
}

/** Did this machine lack something, so that it says nothing of the receiver? */
export function isExhausted(error: unknown): boolean {
  return (error instanceof ConnectFault && error.fault === "exhausted") || wordsOf(error).code in exhausted;
}

/** Of the failures of a host's addresses, how much each says of the receiver: the heaviest is told. */
export function weightOf(error: unknown): number {
  if (error instanceof NoSuchFamily) return 0;
  return isExhausted(error) ? 1 : 2;
}

/** One line, whatever the error's text was. */
function described(fault: Fault, detail: string): DescribedFault {
  return { fault, detail: detail.replace(/\s+/g, " ").slice(0, DETAIL_CHARACTERS_MAX) };
}

function wordsOf(error: unknown): { name: string; code: string; message: string } {
  const { name, code, message } = (error ?? {}) as { name?: unknown; code?: unknown; message?: unknown };
  return {
    name: typeof name === "string" ? name : "",
    code: typeof code === "string" ? code : "",
    message: typeof message === "string" && message !== "" ? message : "the network failed",
  };
}
