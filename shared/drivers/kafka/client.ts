/**
 * What every part of the Kafka driver shares: the client, how its log lines and errors become ours, a bound on waits.
 * kafkajs 2.2.4 against Kafka 3 and 4 (classic group protocol).
 */
import type { ConnectionOptions } from "node:tls";

import type { ISocketFactory, Kafka, KafkaConfig, LogEntry, SASLOptions } from "kafkajs";
import kafkajs from "kafkajs";

import type { PosthasteError } from "../../domain/errors.ts";
import { storeFault } from "../../domain/errors.ts";
import type { Clock, Entropy } from "../../lib/ambient.ts";
import { replaceProduceRequest } from "./produce-request.ts";
import { repairKafkajs } from "./repairs.ts";

export interface KafkaOptions {
  /** `host:port` of at least one broker. */
  readonly brokers: readonly string[];
  /** True: TLS with the runtime's own authorities. */
  readonly ssl?: boolean | ConnectionOptions;
  readonly sasl?: SASLOptions;
  /** How sockets are opened, for tests of a network that fails; that of kafkajs unless told. */
  readonly socketFactory?: ISocketFactory;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Shows in the broker's log and in its quotas. */
  readonly clientId: string;
  /** In front of every topic and group on the broker; callers never see it. */
  readonly prefix?: string;
  /** How long an append may take in all, waiting included; `APPEND_MS` unless told. */
  readonly appendMs?: number;
  /** What went wrong and is being mended; never a reason to stop. */
  readonly onFault: (error: unknown) => void;
  /** Topics that somebody deleted are about to be made again, empty. Awaited; must not reject. Nobody is told unless given. */
  readonly beforeTopicsMade?: (topics: readonly string[]) => Promise<void>;
  /** And they are made. Must not throw. */
  readonly onTopicsMade?: () => void;
}

/** What the parts of one open log have in common. */
export interface KafkaContext {
  readonly kafka: Kafka;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly prefix: string;
  readonly appendMs: number;
  readonly onFault: (error: unknown) => void;
}

/** Opening gives up after this long: the broker is not there, or does not want us. */
export const OPEN_MS = 10_000;
/** Longer than a broker's session time of 9 s by default, so that the loss of a leader is waited out, not cut off. */
export const APPEND_MS = 10_000;
/** One request; kafkajs closes what hangs longer. */
const REQUEST_MS = 10_000;
const CONNECT_MS = 3000;
/** Ends of connections, readers and producers are waited for this long, then left to themselves. */
export const CLOSE_MS = 5000;

export function createContext(options: KafkaOptions): KafkaContext {
  const { clock, entropy, prefix = "", appendMs = APPEND_MS, onFault } = options;
  repairKafkajs(clock);
  replaceProduceRequest();
  const config: KafkaConfig = {
    clientId: options.clientId,
    brokers: [...options.brokers],
    connectionTimeout: CONNECT_MS,
    authenticationTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 8 },
    logLevel: kafkajs.logLevel.ERROR,
    logCreator: () => (entry) => reportEntry(entry, onFault),
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
    ...(options.sasl === undefined ? {} : { sasl: options.sasl }),
    ...(options.socketFactory === undefined ? {} : { socketFactory: options.socketFactory }),
  };
  return { kafka: new kafkajs.Kafka(config), clock, entropy, prefix, appendMs, onFault };
}

/** Resolves or rejects as `work` does, or rejects with `late()` after `ms`; the work itself goes on. */
export function within<Result>(
  clock: Pick<Clock, "timer">,
  ms: number,
  work: Promise<Result>,
  late: () => Error,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const cancel = clock.timer(ms, () => reject(late()));
    work.then(resolve, reject).finally(cancel);
  });
}

/** `what` is a clause in the past, for the log: "the records were not acknowledged". */
export function storeUnavailable(what: string, cause?: unknown): PosthasteError {
  return storeFault(`Kafka: ${what}.`, { cause });
}

/** One line; kafkajs hides the reason one or two causes deep. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && !error.message.includes(cause.message)
    ? `${error.message}: ${cause.message}`
    : error.message;
}

/** The broker knows no such topic: it is too young to be known everywhere, or was deleted. */
export function isUnknownTopic(error: unknown): boolean {
  return errorType(error) === "UNKNOWN_TOPIC_OR_PARTITION";
}

/** The protocol's name of an error, `ILLEGAL_GENERATION`, or null; looks through the wrappers of kafkajs. */
export function errorType(error: unknown): string | null {
  return protocolError(error)?.type ?? null;
}

/** What the broker said, without the wrappers of kafkajs. */
export function protocolError(error: unknown): (Error & { readonly type: string }) | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ("type" in at && typeof at.type === "string") return at as Error & { readonly type: string };
  }
  return null;
}

/** Said by a broker that was started moments ago, or has just become the group's or a partition's: waiting is all there is to do. */
const STILL_STARTING: ReadonlySet<string | null> = new Set([
  "GROUP_LOAD_IN_PROGRESS",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
  "LEADER_NOT_AVAILABLE",
  "NOT_LEADER_FOR_PARTITION",
]);

/** No fault that anybody could mend; who waits for the broker says so once it took too long. */
export function isStillStarting(error: unknown): boolean {
  return STILL_STARTING.has(errorType(error));
}

/**
 * A rebalance is no fault; what a broker answered is told to whoever asked: kafkajs asks again, or throws it; and of a
 * consumer that crashed its reader tells.
 */
function reportEntry({ namespace, log }: LogEntry, onFault: (error: unknown) => void): void {
  const detail: unknown = log["error"];
  const text = typeof detail === "string" && detail !== log.message ? `${log.message}: ${detail}` : log.message;
  if (/rebalanc/i.test(text) || /^(?:Response |Crash: )/.test(log.message)) return;
  onFault(new Error(`kafkajs ${namespace || "client"}: ${text}`));
}
