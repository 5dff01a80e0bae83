/** A name server over UDP on the loopback (RFC 1035), with what each name is answered by hand. */
import { createSocket } from "node:dgram";
import type { RemoteInfo } from "node:dgram";

import { parseAddress } from "@posthaste/shared/domain/address-guard.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";

export interface NameAnswer {
  /** RFC 1035 section 4.1.1: 0 no error, 2 server failure, 3 no such name. */
  readonly code?: 0 | 2 | 3;
  /** Of the family that was asked for. */
  readonly addresses?: readonly string[];
  readonly ttlS?: number;
}

export type QuestionType = "A" | "AAAA";

/** Null leaves the question without an answer. */
export type Answers = (name: string, type: QuestionType) => NameAnswer | null | Promise<NameAnswer>;

export interface NameServer extends AsyncDisposable {
  /** `address:port`, for `createSystemResolver`. */
  readonly address: string;
  /** The questions that came, as `type name`. */
  readonly asked: readonly string[];
  /** Resolves when so many have come. */
  untilAsked(count: number): Promise<void>;
}

const TYPE_AAAA = 28;

export async function openNameServer(answers: Answers): Promise<NameServer> {
  const asked: string[] = [];
  const arrivals = new EventTarget();
  const socket = createSocket("udp4");
  async function respond(question: Buffer, answering: ReturnType<Answers>, from: RemoteInfo): Promise<void> {
    const answer = await answering;
    if (answer !== null) socket.send(answerTo(question, answer), from.port, from.address);
  }
  socket.on("message", (question, from) => {
    const { name, end } = readName(question);
    const type = question.readUInt16BE(end) === TYPE_AAAA ? "AAAA" : "A";
    asked.push(`${type} ${name}`);
    arrivals.dispatchEvent(new Event("question"));
    void respond(question.subarray(0, end + 4), answers(name, type), from);
  });
  // Bun reports here that an answer found nobody.
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => void socket.bind(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    async untilAsked(count) {
      while (asked.length < count) {
        await new Promise((resolve) => {
          arrivals.addEventListener("question", resolve, { once: true });
        });
      }
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void socket.close(() => resolve())),
  };
}

/** The labels behind the header of 12 bytes. */
function readName(message: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  while (message.readUInt8(at) !== 0) {
    const length = message.readUInt8(at);
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}

/** `question` ends behind its only question; what a client adds behind that is dropped. */
function answerTo(question: Buffer, { code = 0, addresses = [], ttlS = 60 }: NameAnswer): Buffer {
  const head = Buffer.from(question);
  head.writeUInt16BE(0x8180 | code, 2);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt32BE(0, 8);
  const records = addresses.map((text) => {
    const address = parseAddress(text);
    assert(address !== null, "an answer holds addresses");
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(address.length === 4 ? 1 : TYPE_AAAA, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(ttlS, 6);
    record.writeUInt16BE(address.length, 10);
    return Buffer.concat([record, address]);
  });
  return Buffer.concat([head, ...records]);
}
