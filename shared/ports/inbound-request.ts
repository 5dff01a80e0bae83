/**
 * A request as the server hands it to its handler: what the handlers use of the web's `Request`, so that a server need
 * not build a whole one. Every `Request` is one. Guarantees: the body is read only when it is asked for, which is once and
 * in one of the three ways; reading it rejects when it breaks off.
 */
export interface InboundRequest {
  readonly method: string;
  /** Absolute. Only path and query are the caller's; the host says nothing. */
  readonly url: string;
  readonly headers: InboundHeaders;
  /** The whole body, where a server has it already and nobody has read it; else null, and it is read in another way. */
  whole?(): Uint8Array | null;
  /** The whole body. */
  bytes(): Promise<Uint8Array>;
  /** The body piece by piece. Null when there is none. */
  readonly body: InboundBody | null;
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal;
}

/** Names in lower case. A field that came several times is one value, joined by `, ` (RFC 9110 section 5.3). */
export interface InboundHeaders {
  get(name: string): string | null;
  has(name: string): boolean;
  entries(): Iterable<[name: string, value: string]>;
}

export interface InboundBody {
  getReader(): InboundReader;
}

export interface InboundReader {
  read(): Promise<InboundPiece>;
  /** The rest is not wanted. */
  cancel(): Promise<void>;
}

export type InboundPiece =
  | { readonly done: false; readonly value: Uint8Array }
  | { readonly done: true; readonly value?: Uint8Array | undefined };
