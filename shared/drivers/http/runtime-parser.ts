/**
 * The runtime's own HTTP/1.1 parser: llhttp, as `node:http` uses it, strict. Bun and Node lend it under `_http_common`. Only
 * what is used is typed here; the numbers of the callbacks are those of the class itself.
 */
import process from "node:process";

/** Field names and values by turns. */
export type RawFields = readonly string[];

export interface AnswerEvents {
  /** The first byte of a message. */
  readonly onBegin: () => void;
  /** Fields beyond the first 32 come in parts before, trailers after the body. */
  readonly onFields: (fields: RawFields) => void;
  /** `fields` is undefined when they came in parts. */
  readonly onHead: (status: number, fields: RawFields | undefined, isKeptAlive: boolean) => void;
  readonly onBody: (bytes: Buffer) => void;
  readonly onEnd: () => void;
}

export interface AnswerParser {
  /** The error's `code` begins with `HPE_`. */
  read(bytes: Buffer): Error | null;
  /** The connection ended: a body without a declared length ends with it. */
  end(): void;
}

export interface NativeParser {
  initialize(type: number, resource: object, headerBytesMax: number, leniency: number): void;
  /** The bytes that were read; fewer than given where another protocol begins. */
  execute(bytes: Buffer): number | Error;
  /** The connection ended. Where that cuts a message: an error, on Deno a number that is not 0. */
  finish(): Error | number | undefined;
  [callback: number]: unknown;
}

export interface NativeParserClass {
  new (): NativeParser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnMessageBegin: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

interface HttpCommon {
  readonly HTTPParser?: NativeParserClass;
  /** By the number that the parser tells. */
  readonly methods?: readonly string[];
}

/** Null where the runtime lends none. */
export function runtimeParser(): NativeParserClass | null {
  const module: HttpCommon | undefined = process.getBuiltinModule("_http_common");
  return module?.HTTPParser ?? null;
}

/** The names of request methods, by the number that the parser tells. */
export function requestMethods(): readonly string[] {
  const module: HttpCommon | undefined = process.getBuiltinModule("_http_common");
  return module?.methods ?? [];
}

/** A parser for one connection, for one answer after another. */
export function createAnswerParser(
  Parser: NativeParserClass,
  headerBytesMax: number,
  events: AnswerEvents,
): AnswerParser {
  const native = new Parser();
  native.initialize(Parser.RESPONSE, {}, headerBytesMax, 0);
  native[Parser.kOnMessageBegin] = events.onBegin;
  native[Parser.kOnHeaders] = events.onFields;
  native[Parser.kOnHeadersComplete] = (...told: unknown[]) => {
    const [, , fields, , , status, , , isKeptAlive] = told;
    events.onHead(status as number, fields as RawFields | undefined, isKeptAlive === true);
    return 0;
  };
  native[Parser.kOnBody] = events.onBody;
  native[Parser.kOnMessageComplete] = events.onEnd;
  return {
    read(bytes) {
      const result = native.execute(bytes);
      return result instanceof Error ? result : null;
    },
    end: () => void native.finish(),
  };
}
