/** Receivers that are not well, in a process of their own: what they tell, and the wait for all that they are to take. */
import type { Subject } from "./subject-process.ts";
import { startSubject } from "./subject-process.ts";

export interface Taken {
  /** Different events that were answered with 2xx. */
  readonly taken: number;
  /** When the last of those was, epoch ms. */
  readonly lastAtMs: number;
  /** Requests, and those of the event that needed most. */
  readonly attempts: number;
  readonly attemptsMost: number;
  /** Requests under way at once, at the most. */
  readonly atOnceMost: number;
}

export interface Moody extends AsyncDisposable {
  url(path: string): string;
  /** What begins with `down` fails from now on; resolves with the time. */
  ail(): Promise<number>;
  /** It answers again from now on; resolves with the time. */
  heal(): Promise<number>;
  /** Forgets what it took. */
  reset(): Promise<void>;
  /** Of one kind of path, once it took so many; rejects when it has not after `ms`, with how many it took. */
  took(name: string, events: number, ms: number): Promise<Taken>;
}

const ASK_MS = 200;
const NOTHING: Taken = { taken: 0, lastAtMs: 0, attempts: 0, attemptsMost: 0, atOnceMost: 0 };

export async function startMoody(): Promise<Moody> {
  const subject = await startSubject("moody.ts");
  const ask = async (line: string): Promise<number> => Number((await subject.ask(line))["atMs"]);
  return {
    url: (path) => `http://127.0.0.1:${String(subject.hello["port"])}/${path}`,
    ail: () => ask("ail"),
    heal: () => ask("heal"),
    reset: async () => void (await ask("reset")),
    took: (name, events, ms) => untilTaken(subject, name, events, ms),
    [Symbol.asyncDispose]: () => subject[Symbol.asyncDispose](),
  };
}

async function untilTaken(subject: Subject, name: string, events: number, ms: number): Promise<Taken> {
  const giveUpAtMs = performance.now() + ms;
  for (;;) {
    const seen = (await subject.ask("seen"))["seen"] as Readonly<Record<string, Taken>>;
    const of = seen[name] ?? NOTHING;
    if (of.taken >= events) return of;
    if (performance.now() > giveUpAtMs) {
      const spent = `${of.attempts} attempts in ${(ms / 1000).toFixed(0)} s`;
      throw new Error(`${name} took ${of.taken} of ${events} events, by ${spent}`);
    }
    await Bun.sleep(ASK_MS);
  }
}
