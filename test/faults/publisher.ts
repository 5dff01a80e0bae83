/** Publishes at a steady rate whatever is answered, and counts the answers by priority. */
import { systemClock } from "@posthaste/shared/drivers/system.ts";
import type { Book, Priority } from "./book.ts";
import { PRIORITIES } from "./book.ts";
import type { HttpPool, PostAnswer } from "./http-pool.ts";
import { openHttpPool } from "./http-pool.ts";

export interface PublisherOptions {
  readonly book: Book;
  /** Of the gateways that should be up. */
  readonly urls: () => readonly string[];
  readonly key: string;
  readonly tenant: string;
  readonly ratePerS: number;
  /** Further tries of what was refused or broke, each at the next gateway. */
  readonly tries: number;
  /** Every third event has an id of its own, every third an Idempotency-Key. */
  readonly isNamed: boolean;
}

export interface Answers {
  readonly sent: number;
  /** 5xx, after the last try. */
  readonly refused: Readonly<Record<Priority, number>>;
  /** Connections refused or cut, and answers that never came. */
  readonly broken: number;
  /** Not sent, as too much was under way. */
  readonly heldBack: number;
  /** Answers that no fault explains, by status. */
  readonly odd: Readonly<Record<string, number>>;
  /** What the 5xx said, by priority; so many kinds at most. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Of 202s while it was measured, further tries included. */
  readonly latencyMsP99: number;
}

export interface Publisher extends AsyncDisposable {
  answers(): Answers;
  /** Do latencies of what is sent from now on count? */
  measure(isOn: boolean): void;
  /** Resolves once all that was sent is answered; disposing does the same. */
  stop(): Promise<void>;
}

/** Longer than the gateway's own budget of 10 s. */
const SILENT_MS = 20_000;
const UNDER_WAY_MAX = 4096;
const TICK_MS = 20;
const REASONS_MAX = 20;
const DETAIL_CHARS = 120;

export function startPublisher(options: PublisherOptions): Publisher {
  const { book, ratePerS } = options;
  const pool = openHttpPool(SILENT_MS);
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  const refused = { HIGH: 0, MEDIUM: 0, LOW: 0 };
  const odd: Record<string, number> = {};
  const reasons: Record<string, number> = {};
  const latencies: number[] = [];
  let isMeasuring = false;
  let sent = 0;
  let broken = 0;
  let heldBack = 0;

  async function publish(index: number): Promise<void> {
    const priority = PRIORITIES[index % PRIORITIES.length] ?? "HIGH";
    const startedAt = systemClock.monotonic();
    const isMeasured = isMeasuring;
    const answer = await publishOne(options, pool, index, priority);
    const nowMs = systemClock.monotonic();
    if (answer.kind !== "answered") broken += 1;
    else if (answer.status === 202) {
      book.accept((JSON.parse(answer.body) as { readonly id: string }).id, priority, nowMs);
      if (isMeasured) latencies.push(nowMs - startedAt);
    } else if (answer.status > 500) {
      refused[priority] += 1;
      count(reasons, `${priority} ${answer.status} ${fieldOf(answer.body, "detail").slice(0, DETAIL_CHARS)}`);
    } else count(odd, `${answer.status} ${fieldOf(answer.body, "code")}`);
  }
  async function run(): Promise<void> {
    const startedAt = systemClock.monotonic();
    while (!stopping.signal.aborted) {
      const due = Math.floor(((systemClock.monotonic() - startedAt) * ratePerS) / 1000);
      for (; sent + heldBack < due;) {
        if (underWay.size >= UNDER_WAY_MAX) {
          heldBack += 1;
          continue;
        }
        const publishing = publish(sent++).finally(() => underWay.delete(publishing));
        underWay.add(publishing);
      }
      await systemClock.sleep(TICK_MS, stopping.signal).catch(() => undefined);
    }
    await Promise.all(underWay);
  }

  const running = run();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
    pool[Symbol.dispose]();
  };
  return {
    answers: () => ({ sent, refused: { ...refused }, broken, heldBack, odd, reasons, latencyMsP99: p99(latencies) }),
    measure: (isOn) => void (isMeasuring = isOn),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function publishOne(
  { urls, key, tenant, tries, isNamed }: PublisherOptions,
  pool: HttpPool,
  index: number,
  priority: Priority,
): Promise<PostAnswer> {
  const naming = isNamed ? index % 9 : 0;
  const event = { tenant, type: `load.t${index % 7}`, priority, data: { index, text: "x".repeat(200) } };
  const body = JSON.stringify(naming >= 6 ? { ...event, id: `own-${index}` } : event);
  const headers = {
    authorization: `Bearer ${key}`,
    "content-type": "application/json",
    ...(naming >= 3 && naming < 6 ? { "idempotency-key": `key-${index}` } : {}),
  };
  for (let attempt = 0; ; attempt++) {
    const gateways = urls();
    const url = gateways[(index + attempt) % gateways.length];
    const answer: PostAnswer =
      url === undefined ? { kind: "broken" } : await pool.post(`${url}/v1/events`, headers, body);
    const isTaken = answer.kind === "answered" && answer.status < 500;
    if (isTaken || attempt === tries) return answer;
  }
}

function count(counts: Record<string, number>, seen: string): void {
  const known = counts[seen] ?? 0;
  if (known > 0 || Object.keys(counts).length < REASONS_MAX) counts[seen] = known + 1;
}

function fieldOf(problem: string, name: string): string {
  return new RegExp(`"${name}":"([^"]*)"`).exec(problem)?.[1] ?? "";
}

function p99(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length * 0.99)] ?? 0;
}
