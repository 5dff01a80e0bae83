/** The Redis behind the REST server of the tests: commands as they are, replies as bytes. */
import { Redis } from "ioredis";

export type RestArgument = string | Buffer;
export type RestCommand = readonly RestArgument[];
export type RestReply = null | number | Buffer | readonly RestReply[];

export interface RestRedis extends AsyncDisposable {
  /** Rejects with a `Refusal` for what Redis refused, and with any other Error when it cannot be reached. */
  run(command: RestCommand): Promise<RestReply>;
  /** MULTI, the commands, EXEC. Rejects as `run` when the transaction is discarded as a whole. */
  transaction(commands: readonly RestCommand[]): Promise<readonly (RestReply | Refusal)[]>;
  /** Resolves once Redis confirmed it. */
  subscribe(channel: string, hear: (message: string) => void): Promise<Disposable>;
}

/** Its message is the error as Redis words it. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** One connection for all commands and one for each subscription; none of them queues while it is not connected. */
export async function openRestRedis(url: string): Promise<RestRedis> {
  const connect = (): Redis => {
    const client = new Redis(url, { replyMapping: "legacy", lazyConnect: true, maxRetriesPerRequest: 0 });
    client.on("error", () => undefined);
    return client;
  };
  const client = connect();
  await client.connect();
  // ioredis makes objects of some replies, by the command's name in lower case.
  const call = ([name = "", ...args]: RestCommand): Promise<RestReply> =>
    client.callBuffer(String(name).toUpperCase(), ...args).then(replyOf, refusalOf);
  return {
    run: call,
    async transaction(commands) {
      // Written in one turn, so nothing of anybody else comes between.
      const answers = await Promise.allSettled([["MULTI"], ...commands, ["EXEC"]].map(call));
      const last = answers.at(-1);
      if (last?.status === "rejected") throw last.reason;
      return Array.isArray(last?.value) ? last.value : [];
    },
    async subscribe(channel, hear) {
      const own = connect();
      own.on("message", (_channel, message: string) => hear(message));
      await own.connect();
      await own.subscribe(channel);
      return { [Symbol.dispose]: () => own.disconnect() };
    },
    [Symbol.asyncDispose]() {
      client.disconnect();
      return Promise.resolve();
    },
  };
}

/** Within the answer of EXEC an error is a value. */
function replyOf(reply: unknown): RestReply {
  if (Array.isArray(reply)) return reply.map(replyOf);
  if (reply instanceof Error) return new Refusal(reply.message) as unknown as RestReply;
  if (typeof reply === "string") return Buffer.from(reply);
  return reply as RestReply;
}

function refusalOf(error: unknown): never {
  if (error instanceof Error && error.name === "ReplyError") throw new Refusal(error.message);
  throw error;
}
