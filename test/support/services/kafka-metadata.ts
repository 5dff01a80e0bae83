/**
 * Asks a Kafka broker which brokers it knows to be alive, by one hand-made request: the tests of a client need another
 * witness. Layout: Kafka protocol guide, Metadata request and response, version 1.
 */
import { connect } from "node:net";

const ANSWER_WITHIN_MS = 3_000;
const ANSWER_BYTES_MAX = 65_536;
const METADATA = 3;
const CORRELATION = 1;

/** The ids of the brokers that clients are sent to, ascending; empty when no answer could be had. */
export async function livingBrokers(port: number): Promise<readonly number[]> {
  try {
    return readBrokerIds(await request(port, metadataRequest())).toSorted((left, right) => left - right);
  } catch {
    return [];
  }
}

/** Header version 1 (key, version, correlation, client id null) and an empty list of topics. */
function metadataRequest(): Buffer {
  const body = Buffer.alloc(18);
  body.writeInt32BE(14, 0);
  body.writeInt16BE(METADATA, 4);
  body.writeInt16BE(1, 6);
  body.writeInt32BE(CORRELATION, 8);
  body.writeInt16BE(-1, 12);
  body.writeInt32BE(0, 14);
  return body;
}

function readBrokerIds(answer: Buffer): number[] {
  const ids: number[] = [];
  const count = answer.readInt32BE(8);
  let at = 12;
  const skipText = (): void => {
    const length = answer.readInt16BE(at);
    at += 2 + Math.max(0, length);
  };
  for (let broker = 0; broker < count; broker++) {
    ids.push(answer.readInt32BE(at));
    at += 4;
    skipText(); // host
    at += 4; // port
    skipText(); // rack
  }
  return ids;
}

/** One frame out, one frame in: both begin with their length. */
function request(port: number, frame: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(frame));
    const end = (settle: () => void): void => {
      socket.destroy();
      settle();
    };
    socket.setTimeout(ANSWER_WITHIN_MS, () => end(() => reject(new Error("no answer"))));
    socket.on("error", (error) => end(() => reject(error)));
    socket.on("close", () => reject(new Error("closed without an answer")));
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      const answer = Buffer.concat(chunks);
      if (answer.length > ANSWER_BYTES_MAX) end(() => reject(new Error("an answer beyond bounds")));
      else if (answer.length >= 4 && answer.length >= 4 + answer.readInt32BE(0)) end(() => resolve(answer));
    });
  });
}
