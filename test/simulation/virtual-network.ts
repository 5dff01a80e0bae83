/**
 * The network between our processes and the receivers. A request that has left travels on when its sender dies; the
 * answer then finds nobody. Every send is recorded: what left, what arrived, what the sender heard.
 */
import type { AttemptResult, Fault } from "@posthaste/shared/domain/attempt.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { DeliveryRequest, Transport, Vetting } from "@posthaste/shared/ports/transport.ts";
import type { Chance } from "./chance.ts";
import type { Reaction, Receiver } from "./receivers.ts";
import type { Silence } from "./scenario.ts";
import type { Trace } from "./trace.ts";

export interface Send {
  readonly index: number;
  readonly processIndex: number;
  readonly sentAtMs: number;
  /** By the sender's own clock. */
  readonly wallMs: number;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** The status the receiver gave, when the request reached it and it gave one. */
  answered: { readonly atMs: number; readonly status: number } | null;
  /** What the sender learned while it lived. */
  heard: { readonly atMs: number; readonly result: AttemptResult } | null;
}

export interface Sender {
  readonly index: number;
  readonly isAlive: () => boolean;
  /** Its own time of day. */
  readonly now: () => number;
}

export interface VirtualNetwork {
  forProcess(sender: Sender): Transport;
  sends(): readonly Send[];
  /** Sends that nobody has heard of yet, and whose sender lives. */
  inFlight(): ReadonlySet<Send>;
}

export function createVirtualNetwork(options: {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly receiverOf: (url: string) => Receiver | null;
  /** In ms since the network began. */
  readonly silences: readonly Silence[];
  readonly onSend: (send: Send) => void;
  readonly onHeard: (send: Send) => void;
}): VirtualNetwork {
  const { clock, chance, trace } = options;
  const sends: Send[] = [];
  const inFlight = new Set<Send>();
  const startMs = clock.now();

  function begin(sender: Sender, request: DeliveryRequest): Send {
    const sent: Send = {
      index: sends.length,
      processIndex: sender.index,
      sentAtMs: clock.now(),
      wallMs: sender.now(),
      url: request.url,
      headers: request.headers,
      // A copy: what the sender does to its buffer later must not change what was sent.
      body: request.body.slice(),
      answered: null,
      heard: null,
    };
    sends.push(sent);
    inFlight.add(sent);
    trace.note(
      `send #${sent.index} p${sender.index} ${request.url} ${headerOf(sent, "webhook-id")} attempt ${headerOf(sent, "posthaste-attempt")}`,
    );
    options.onSend(sent);
    return sent;
  }

  function silenceOf(url: string): Silence | undefined {
    if (options.receiverOf(url)?.isHealthy !== false) return undefined;
    const sinceMs = clock.now() - startMs;
    return options.silences.find(({ fromMs, toMs }) => fromMs <= sinceMs && sinceMs < toMs);
  }

  /** Nothing leaves, so no send is recorded. */
  function waitForName(sender: Sender, { url, stopping }: DeliveryRequest, lookUpMs: number): Promise<AttemptResult> {
    trace.note(`no name p${sender.index} ${url}`);
    return new Promise((resolve) => {
      const end = (fault: Fault): void => {
        cancel();
        stopping.removeEventListener("abort", stop);
        if (sender.isAlive()) resolve({ kind: "fault", fault, detail: "simulated", durationMs: 0 });
      };
      const stop = (): void => end("aborted");
      const cancel = clock.timer(lookUpMs, () => end("resolver"));
      stopping.addEventListener("abort", stop, { once: true });
    });
  }

  function send(sender: Sender, request: DeliveryRequest, signal: AbortSignal): Promise<AttemptResult> {
    const silence = silenceOf(request.url);
    if (silence !== undefined && sender.isAlive()) return waitForName(sender, request, silence.lookUpMs);
    return new Promise((resolve) => {
      if (!sender.isAlive()) return;
      const sent = begin(sender, request);
      const hear = (result: AttemptResult): void => {
        if (sent.heard !== null || !inFlight.delete(sent)) return;
        signal.removeEventListener("abort", abort);
        cancelDeadline();
        if (!sender.isAlive()) return;
        sent.heard = { atMs: clock.now(), result };
        trace.note(`heard #${sent.index} ${result.kind === "answered" ? result.status : result.fault}`);
        options.onHeard(sent);
        resolve(result);
      };
      const elapsed = (): number => clock.now() - sent.sentAtMs;
      const fail = (fault: Fault): void => hear({ kind: "fault", fault, detail: "simulated", durationMs: elapsed() });
      const abort = (): void => fail("aborted");
      signal.addEventListener("abort", abort, { once: true });
      const cancelDeadline = clock.timer(request.timeoutMs, () => fail("timeout"));
      if (signal.aborted) return abort();
      travel({ clock, trace }, sent, options.receiverOf(request.url), { hear, fail });
    });
  }

  return {
    sends: () => sends,
    inFlight: () => inFlight,
    forProcess: (sender) => ({
      send: (request, signal) => send(sender, request, signal),
      vet: () => allow(clock, chance.whole(0, 20), sender),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  };
}

/** Every name resolves, and to an address that may be called. */
function allow(clock: Clock, afterMs: number, sender: Sender): Promise<Vetting> {
  return new Promise((resolve) => {
    clock.timer(afterMs, () => {
      if (sender.isAlive()) resolve({ kind: "allowed" });
    });
  });
}

export function headerOf(send: Send, name: string): string | null {
  return send.headers[name] ?? null;
}

export function isDelivered(result: AttemptResult): boolean {
  return result.kind === "answered" && result.status >= 200 && result.status <= 299;
}

function answerOf(reaction: Reaction, durationMs: number): AttemptResult {
  const { status, retryAfter } = reaction;
  return { kind: "answered", status, retryAfter, bodyExcerpt: "", isBodyCut: false, durationMs };
}

/** The way to the receiver and back, which goes on whatever becomes of the sender. */
function travel(
  { clock, trace }: { readonly clock: Clock; readonly trace: Trace },
  sent: Send,
  receiver: Receiver | null,
  ends: { hear: (result: AttemptResult) => void; fail: (fault: Fault) => void },
): void {
  if (receiver === null) return ends.fail("dns");
  const reaction = receiver.react(clock.now());
  const { kind, outMs, backMs } = reaction;
  if (kind === "lost-before") return;
  if (kind === "refused" || kind === "reset-before") {
    clock.timer(outMs, () => ends.fail(kind === "refused" ? "connect-refused" : "reset"));
    return;
  }
  clock.timer(outMs, () => {
    if (kind === "hang") return trace.note(`hang  #${sent.index}`);
    sent.answered = { atMs: clock.now(), status: reaction.status };
    trace.note(`got   #${sent.index} ${reaction.status}${kind === "answer" ? "" : ` ${kind}`}`);
    if (kind === "lost-after") return;
    clock.timer(backMs, () => {
      if (kind === "reset-after") ends.fail("reset");
      else ends.hear(answerOf(reaction, clock.now() - sent.sentAtMs));
    });
  });
}
