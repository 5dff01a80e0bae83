/**
 * A server between a client and a service that plays the network's part when it fails: refuses, delays, holds back, cuts.
 * It keeps its port through all of it, so that what a client was told at its start stays true.
 */
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { freePort } from "./services/free-ports.ts";

export type NetworkFault =
  | { readonly kind: "none" }
  /** Nobody listens: connections end, and new ones are refused. */
  | { readonly kind: "down" }
  /** What comes is passed on so much later, in order, in each direction. */
  | { readonly kind: "slow"; readonly ms: number }
  /** Connections are accepted, and nothing passes in either direction. What was written meanwhile comes afterwards. */
  | { readonly kind: "silent" }
  /** What clients write is passed on, what is answered is held back and comes afterwards. */
  | { readonly kind: "unanswered" };

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Takes the place of the fault before; resolves once it holds. */
  set(fault: NetworkFault): Promise<void>;
  /** Ends every connection at once; new ones are as the fault says. */
  drop(): void;
}

/** What one direction of a connection holds back at most; its sender waits for the rest. */
const HELD_BYTES_MAX = 4 * 1024 * 1024;
const HEALTHY: NetworkFault = { kind: "none" };

/** Passes on to the service at `target`, which need not be up. Listens on a free port of the loopback unless given one. */
export async function openTcpProxy(
  target: { readonly host?: string; readonly port: number },
  port?: number,
): Promise<TcpProxy> {
  const own = port ?? (await freePort());
  const passages = new Set<Passage>();
  let fault = HEALTHY;
  let server: Server | null = null;

  function accept(socket: Socket): void {
    const upstream = connect({ host: target.host ?? "127.0.0.1", port: target.port, noDelay: true });
    for (const [from, to, isAnswer] of [
      [socket, upstream, false],
      [upstream, socket, true],
    ] as const) {
      const passage = new Passage(from, to, isAnswer, fault);
      passages.add(passage);
      from.on("close", () => passages.delete(passage));
    }
  }
  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const opening = createServer({ noDelay: true }, accept);
      opening.once("error", reject);
      opening.listen({ port: own, host: "127.0.0.1" }, () => {
        server = opening;
        resolve();
      });
    });
  const drop = (): void => {
    for (const passage of passages) passage.cut();
  };
  async function refuse(): Promise<void> {
    const closing = server;
    server = null;
    const closed = new Promise<void>((resolve) => {
      if (closing === null) resolve();
      else closing.close(() => resolve());
    });
    drop();
    await closed;
  }

  await listen();
  return {
    port: own,
    async set(next) {
      fault = next;
      for (const passage of passages) passage.obey(next);
      if (next.kind === "down") await refuse();
      else if (server === null) await listen();
    },
    drop,
    [Symbol.asyncDispose]: refuse,
  };
}

/** One direction of a connection. */
class Passage {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #isAnswer: boolean;
  readonly #held: { readonly bytes: Buffer; readonly dueAt: number }[] = [];
  #heldBytes = 0;
  #fault: NetworkFault;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(from: Socket, to: Socket, isAnswer: boolean, fault: NetworkFault) {
    this.#from = from;
    this.#to = to;
    this.#isAnswer = isAnswer;
    this.#fault = fault;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    // Its other end hears of it by the close.
    from.on("error", () => undefined);
    from.on("close", () => {
      this.#isOver = true;
      this.#pass();
    });
    to.on("close", () => clearTimeout(this.#timer));
    to.on("drain", () => this.#pass());
    if (this.#isHeldBack()) from.pause();
  }

  obey(fault: NetworkFault): void {
    this.#fault = fault;
    this.#pass();
  }

  cut(): void {
    this.#held.length = 0;
    this.#from.destroy();
  }

  #isHeldBack(): boolean {
    return this.#fault.kind === "silent" || (this.#fault.kind === "unanswered" && this.#isAnswer);
  }

  #take(bytes: Buffer): void {
    const waitMs = this.#fault.kind === "slow" ? this.#fault.ms : 0;
    const dueAt = Math.max(performance.now() + waitMs, this.#held.at(-1)?.dueAt ?? 0);
    this.#held.push({ bytes, dueAt });
    this.#heldBytes += bytes.length;
    this.#pass();
  }

  /** Passes on what is due, then the end of the connection, and arms the timer for what is not due. */
  #pass(): void {
    clearTimeout(this.#timer);
    const isHeldBack = this.#isHeldBack();
    const from = isHeldBack ? [] : this.#held;
    while (!this.#to.writableNeedDrain) {
      const [next] = from;
      if (next === undefined) break;
      const waitMs = next.dueAt - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pass(), waitMs);
        break;
      }
      this.#held.shift();
      this.#heldBytes -= next.bytes.length;
      this.#to.write(next.bytes);
    }
    if (this.#isOver && this.#held.length === 0) this.#to.destroy();
    else if (isHeldBack || this.#heldBytes > HELD_BYTES_MAX) this.#from.pause();
    else this.#from.resume();
  }
}
