/** A collector in the test's own process: takes OTLP over HTTP in protobuf, and reads of it what the tests look at. */
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

import { listen, readThen } from "./receiver.ts";

export interface SunkSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of its trace. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly isError: boolean;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly events: readonly string[];
}

export interface OtlpSink extends AsyncDisposable {
  /** `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  spans(): readonly SunkSpan[];
  /** Resolves once `isThere` is true of all that came. */
  until(isThere: (spans: readonly SunkSpan[]) => boolean): Promise<readonly SunkSpan[]>;
  /** Names of the metrics that came, and the resource's attributes of the last export. */
  metricNames(): ReadonlySet<string>;
  resource(): Readonly<Record<string, unknown>>;
}

export async function openOtlpSink(): Promise<OtlpSink> {
  const spans: SunkSpan[] = [];
  const metricNames = new Set<string>();
  let resource: Readonly<Record<string, unknown>> = {};
  let look = (): void => undefined;
  const server = createServer(
    readThen((request, response, packed) => {
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(packed) : packed;
      if (request.url === "/v1/traces") {
        for (const one of fieldsOf(body)) {
          resource = attributesOf(resourceOf(one));
          spans.push(...spansOf(one));
        }
      } else if (request.url === "/v1/metrics") {
        for (const one of fieldsOf(body)) {
          resource = attributesOf(resourceOf(one));
          for (const metric of nested(one, 2).flatMap((scope) => nested(scope, 2))) metricNames.add(text(metric, 1));
        }
      }
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
      look();
    }),
  );
  const { url, ...listening } = await listen(server, () => server.closeAllConnections());
  return {
    ...listening,
    url: new URL(url).origin,
    spans: () => spans,
    metricNames: () => metricNames,
    resource: () => resource,
    until: (isThere) =>
      new Promise((resolve) => {
        look = () => {
          if (isThere(spans)) resolve(spans);
        };
        look();
      }),
  };
}

/** The spans of an `ExportTraceServiceRequest`. */
export function readTraces(body: Buffer): readonly SunkSpan[] {
  return fieldsOf(body).flatMap(spansOf);
}

/** A field of a protobuf message: its number, and a whole number or bytes. */
interface Field {
  readonly number: number;
  readonly value: bigint | Buffer;
}

function read(bytes: Buffer): readonly Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Buffer => bytes.subarray(at, (at += length));
  while (at < bytes.length) {
    const tag = Number(varint());
    const kind = tag & 7;
    const value =
      kind === 0
        ? varint()
        : kind === 1
          ? take(8).readBigUInt64LE()
          : kind === 5
            ? BigInt(take(4).readUInt32LE())
            : take(Number(varint()));
    fields.push({ number: tag >> 3, value });
  }
  return fields;
}

const nested = (message: Buffer, number: number): readonly Buffer[] =>
  read(message).flatMap(({ number: own, value }) => (own === number && typeof value !== "bigint" ? [value] : []));
const text = (message: Buffer, number: number): string => nested(message, number)[0]?.toString("utf8") ?? "";
const hex = (message: Buffer, number: number): string => nested(message, number)[0]?.toString("hex") ?? "";
const whole = (message: Buffer, number: number): number =>
  Number(read(message).find((field) => field.number === number)?.value ?? 0);
const fieldsOf = (body: Buffer): readonly Buffer[] => nested(body, 1);
const resourceOf = (message: Buffer): readonly Buffer[] => nested(nested(message, 1)[0] ?? Buffer.alloc(0), 1);

const KINDS = ["", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] as const;

/** opentelemetry-proto, `trace.proto`: ResourceSpans, ScopeSpans, Span. */
function spansOf(resourceSpans: Buffer): readonly SunkSpan[] {
  const service = String(attributesOf(resourceOf(resourceSpans))["service.name"]);
  const found = nested(resourceSpans, 2).flatMap((scope) => nested(scope, 2));
  return found.map((span) => ({
    service,
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    parentId: hex(span, 4),
    name: text(span, 5),
    kind: KINDS[whole(span, 6)] ?? "",
    startMs: whole(span, 7) / 1e6,
    endMs: whole(span, 8) / 1e6,
    attributes: attributesOf(nested(span, 9)),
    isError: nested(span, 15).some((status) => whole(status, 3) === 2),
    links: nested(span, 13).map((link) => ({ traceId: hex(link, 1), spanId: hex(link, 2) })),
    events: nested(span, 11).map((event) => text(event, 2)),
  }));
}

/** `common.proto`: KeyValue, AnyValue. */
function attributesOf(pairs: readonly Buffer[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [{ number, value } = { number: 0, value: 0n }] = read(nested(pair, 2)[0] ?? Buffer.alloc(0));
      if (typeof value !== "bigint") return [text(pair, 1), value.toString("utf8")];
      return [text(pair, 1), number === 2 ? value === 1n : Number(value)];
    }),
  );
}
