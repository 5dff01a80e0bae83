/**
 * HTTP/1.1 by the byte: what is sent is what was given, well formed or not. One request at a time on a connection, which is
 * kept while both sides may.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";

export interface RawRequest {
  readonly method: string;
  /** The request target as it stands in the first line. */
  readonly target: string;
  /** Latin-1, in order, Host and the body's framing included. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  /** It breaks the rules of HTTP itself, so the server's parser may answer in its own way or cut the connection. */
  readonly isUnframed: boolean;
  /** The connection is closed behind what was sent. */
  readonly isCut: boolean;
}

export type RawAnswer =
  | { readonly kind: "answered"; readonly status: number; readonly headers: Headers; readonly body: Uint8Array }
  /** Closed without a whole answer. */
  | { readonly kind: "closed" }
  /** Nothing came for longer than any request may take. */
  | { readonly kind: "hung"; readonly before: RawRequest | null };

/** Three times the gateway's own budget for a request. */
const HUNG_MS = 30_000;
const HEAD_BYTES_MAX = 64 * 1024;
const latin1 = new TextDecoder("latin1");

export interface RawClient extends Disposable {
  send(request: RawRequest): Promise<RawAnswer>;
}

export function openRawClient(port: number): RawClient {
  let socket: Socket | null = null;
  /** The last request on the connection: what made the next one hang, perhaps. */
  let before: RawRequest | null = null;
  return {
    async send(request) {
      const isFresh = socket === null || socket.destroyed;
      const used = isFresh || socket === null ? await dial(port) : socket;
      socket = used;
      const heard = await exchange(used, request);
      const answer = heard.kind === "hung" ? { ...heard, before: isFresh ? null : before } : heard;
      before = request;
      const isEnded = request.isCut || request.isUnframed || answer.kind !== "answered";
      if (isEnded || answer.headers.get("connection") === "close") {
        used.destroy();
        socket = null;
      }
      // A kept connection that the server closed meanwhile says nothing of this request.
      if (answer.kind === "closed" && !isFresh && !request.isUnframed && !request.isCut) return this.send(request);
      return answer;
    },
    [Symbol.dispose]: () => void socket?.destroy(),
  };
}

/** The bytes as they go out; a request that ends early has no reader for the rest. */
export function bytesOf({ method, target, headers, body }: RawRequest): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`, "latin1"), body]);
}

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

function exchange(socket: Socket, request: RawRequest): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const timer = setTimeout(() => finish({ kind: "hung", before: null }), HUNG_MS);
    const finish = (answer: RawAnswer): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      resolve(answer);
    };
    const onEnd = (): void => finish(readAnswer(received, request.method, true) ?? { kind: "closed" });
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const answer = readAnswer(received, request.method, false);
      if (answer !== null) finish(answer);
    });
    socket.on("error", onEnd);
    socket.on("close", onEnd);
    const bytes = bytesOf(request);
    if (request.isCut) socket.end(bytes);
    else socket.write(bytes);
  });
}

/** Null while some of it is missing. Interim answers are passed over. */
function readAnswer(received: Buffer, method: string, isOver: boolean): RawAnswer | null {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0 || headEnd > HEAD_BYTES_MAX) return null;
  const [first = "", ...lines] = latin1.decode(received.subarray(0, headEnd)).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1]);
  const rest = received.subarray(headEnd + 4);
  if (status < 200) return readAnswer(rest, method, isOver);
  const headers = new Headers();
  for (const line of lines) headers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim());
  const whole = (body: Uint8Array): RawAnswer => ({ kind: "answered", status, headers, body });
  if (method === "HEAD" || status === 204 || status === 304) return whole(new Uint8Array(0));
  // It has no end: its head is what there is to judge, and the connection ends with it.
  if (headers.get("content-type") === "text/event-stream") return whole(new Uint8Array(0));
  if (headers.get("transfer-encoding") === "chunked") return wholeOrNull(readChunks(rest), whole);
  const length = headers.get("content-length");
  if (length === null) return isOver ? whole(rest) : null;
  return rest.length >= Number(length) ? whole(rest.subarray(0, Number(length))) : null;
}

function wholeOrNull(body: Uint8Array | null, whole: (body: Uint8Array) => RawAnswer): RawAnswer | null {
  return body === null ? null : whole(body);
}

function readChunks(bytes: Buffer): Uint8Array | null {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(latin1.decode(bytes.subarray(at, lineEnd)), 16);
    const next = lineEnd + 2 + size + 2;
    if (bytes.length < next) return null;
    if (size === 0) return Buffer.concat(chunks);
    chunks.push(bytes.subarray(lineEnd + 2, next - 2));
    at = next;
  }
}
