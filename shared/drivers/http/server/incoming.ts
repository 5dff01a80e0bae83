/** A request of a caller, from its head on. Nothing is built that is not asked for: no `Request`, no `Headers`, no stream. */
import type { PosthasteError } from "../../../domain/errors.ts";
import type { InboundBody, InboundHeaders, InboundRequest } from "../../../ports/inbound-request.ts";
import { Body } from "./body.ts";
import { checkHead, urlOf } from "./refusals.ts";
import type { RequestHead } from "./request-parser.ts";

const CALLER_GONE = "the caller closed the connection";

export class Incoming implements InboundRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: InboundHeaders;
  readonly head: RequestHead;
  /** Steady ms: when its first byte came. */
  readonly begunAtMs: number;
  /** What is answered in place of a handler's answer; known from the head, or from what came behind it. */
  refusal: PosthasteError | null;
  /** The caller waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1). */
  awaitsContinue: boolean;
  isAnswered = false;
  readonly content: Body;
  #ending: AbortController | null = null;
  #isCallerGone = false;

  /** `onRead`: the body is asked for, or has room for more. */
  constructor(head: RequestHead, begunAtMs: number, onRead: () => void) {
    const url = urlOf(head.target);
    this.head = head;
    this.begunAtMs = begunAtMs;
    this.method = head.method;
    this.url = url ?? "";
    this.headers = new Fields(head.fields);
    this.refusal = checkHead(head, url);
    this.awaitsContinue = head.version === "1.1" && head.fields["expect"] !== undefined;
    this.content = new Body(onRead);
  }

  /** Who was not told to go on may send the body or not: nobody knows where the next request would begin. */
  get endsConnection(): boolean {
    return !this.head.isKeptAlive || this.awaitsContinue;
  }

  get body(): InboundBody {
    return { getReader: () => this.content.reader() };
  }

  whole(): Uint8Array | null {
    return this.content.whole();
  }

  bytes(): Promise<Uint8Array> {
    return this.content.bytes();
  }

  get signal(): AbortSignal {
    this.#ending ??= new AbortController();
    if (this.#isCallerGone) this.#ending.abort(new Error(CALLER_GONE));
    return this.#ending.signal;
  }

  /** Nobody waits for the answer any more. */
  callerGone(): void {
    this.#isCallerGone = true;
    this.content.fail(new Error("the body broke off"));
    this.#ending?.abort(new Error(CALLER_GONE));
  }

  /** The rest of it cannot be read: the refusal is its answer, unless it has one. */
  breakOff(refusal: PosthasteError): void {
    this.refusal ??= refusal;
    this.content.fail(new Error("the body cannot be read"));
  }
}

/** What could be read as no request, in the place of one: its answer is the refusal. */
export function unreadable(refusal: PosthasteError, nowMs: number): Incoming {
  const head = { method: "", target: "/", fields: {}, fieldCount: 0, version: "1.0" as const, isKeptAlive: false };
  const incoming = new Incoming(head, nowMs, () => undefined);
  incoming.breakOff(refusal);
  return incoming;
}

class Fields implements InboundHeaders {
  readonly #fields: RequestHead["fields"];

  constructor(fields: RequestHead["fields"]) {
    this.#fields = fields;
  }

  get(name: string): string | null {
    return this.#fields[name] ?? null;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  entries(): Iterable<[string, string]> {
    return Object.entries(this.#fields);
  }
}
