/**
 * The runtime's own parser, for the requests of one connection. It tells in order what it found: a head, pieces of a body,
 * the end of the request. An offer of another protocol is not taken up (RFC 9110 section 7.8): HTTP/1.1 goes on behind it.
 */
import type { NativeParser, NativeParserClass, RawFields } from "../runtime-parser.ts";
import { requestMethods, runtimeParser } from "../runtime-parser.ts";

/** Bytes of a request's line and fields together. */
export const HEAD_BYTES_MAX = 16 * 1024;

export interface RequestHead {
  readonly method: string;
  /** As it stands in the request's line. */
  readonly target: string;
  /** Names in lower case. A field that came several times is one value, joined by `, ` (RFC 9110 section 5.3). */
  readonly fields: Readonly<Record<string, string>>;
  readonly fieldCount: number;
  /** The parser lets 0.9 and 2.0 pass as well. */
  readonly version: "1.1" | "1.0" | "other";
  /** Does the caller go on on this connection (RFC 9112 section 9.3)? */
  readonly isKeptAlive: boolean;
}

export interface RequestEvents {
  /** The first byte of a request. */
  readonly onBegin: () => void;
  readonly onHead: (head: RequestHead) => void;
  readonly onBody: (bytes: Buffer) => void;
  readonly onEnd: () => void;
}

export interface RequestParser {
  /** Null, or an error whose `code` begins with `HPE_`: nothing behind it can be read. */
  read(bytes: Buffer): Error | null;
  /** The caller has closed its side; an error when that cuts a request. */
  end(): Error | null;
}

/** As Bun and Node say it. */
const CUT = Object.assign(new Error("Parse Error"), { code: "HPE_INVALID_EOF_STATE" });

/** Makes parsers for connections. Throws where the runtime lends none. */
export function requestParsers(): (events: RequestEvents) => RequestParser {
  const Parser = runtimeParser();
  if (Parser === null) throw new Error("this runtime lends no HTTP parser (_http_common)");
  const methods = requestMethods();
  return (events) => new LlhttpRequests(Parser, methods, events);
}

class LlhttpRequests implements RequestParser {
  readonly #Parser: NativeParserClass;
  readonly #methods: readonly string[];
  readonly #events: RequestEvents;
  #native: NativeParser;
  /** What came of a head with more than 30 fields, and its target. */
  #early: string[] = [];
  #earlyTarget = "";
  /** The parser stops behind an offer of another protocol, and a fresh one goes on. */
  #isSpent = false;

  constructor(Parser: NativeParserClass, methods: readonly string[], events: RequestEvents) {
    this.#Parser = Parser;
    this.#methods = methods;
    this.#events = events;
    this.#native = this.#create();
  }

  read(bytes: Buffer): Error | null {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#isSpent) this.#native = this.#create();
      this.#isSpent = false;
      const read = this.#native.execute(rest);
      if (read instanceof Error) return read;
      if (!this.#isSpent) return null;
      rest = rest.subarray(read);
    }
    return null;
  }

  end(): Error | null {
    if (this.#isSpent) return null;
    const told = this.#native.finish();
    if (told instanceof Error) return told;
    return told === undefined || told === 0 ? null : CUT;
  }

  #create(): NativeParser {
    const native = new this.#Parser();
    const { onBegin, onBody, onEnd } = this.#events;
    let isUpgrade = false;
    native.initialize(this.#Parser.REQUEST, {}, HEAD_BYTES_MAX, 0);
    native[this.#Parser.kOnMessageBegin] = onBegin;
    native[this.#Parser.kOnHeaders] = (fields: RawFields, target: string | undefined) => {
      this.#early.push(...fields);
      this.#earlyTarget += target ?? "";
    };
    native[this.#Parser.kOnHeadersComplete] = (...told: unknown[]) => {
      isUpgrade = told[7] === true;
      this.#events.onHead(this.#headOf(told));
      return 0;
    };
    native[this.#Parser.kOnBody] = onBody;
    native[this.#Parser.kOnMessageComplete] = () => {
      // Trailers are read past (RFC 9110 section 6.5.1); the parser tells the target along with them once more.
      this.#forgetEarly();
      this.#isSpent = isUpgrade;
      onEnd();
    };
    return native;
  }

  /** `told`: major, minor, fields, method, target, status, reason, upgrade, keep-alive. */
  #headOf([major, minor, fields, method, target, , , , isKeptAlive]: readonly unknown[]): RequestHead {
    const raw = (fields as RawFields | undefined) ?? this.#early;
    const head: RequestHead = {
      method: this.#methods[method as number] ?? "",
      target: (target as string | undefined) ?? this.#earlyTarget,
      fields: joinedFields(raw),
      fieldCount: raw.length / 2,
      version: major !== 1 ? "other" : minor === 0 ? "1.0" : "1.1",
      isKeptAlive: isKeptAlive === true,
    };
    this.#forgetEarly();
    return head;
  }

  #forgetEarly(): void {
    this.#early = [];
    this.#earlyTarget = "";
  }
}

function joinedFields(raw: RawFields): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? "").toLowerCase();
    const value = raw[index + 1] ?? "";
    const before = fields[name];
    fields[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return fields;
}
