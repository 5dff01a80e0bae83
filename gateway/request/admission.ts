/**
 * What the gateway holds of requests, stage by stage, each with its bound. At the head a request waits for its key to be
 * looked up. While its body arrives it holds no slot of the work: its place and its bytes count by key and tenant. At
 * work it holds a slot, by key and tenant again, and its bytes until its end.
 */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { assert } from "@posthaste/shared/lib/assert.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import { MANAGEMENT_BYTES_MAX } from "./body.ts";
import type { RequestContext } from "./context.ts";
import type { GatewayLimits } from "./deps.ts";
import type { Holder } from "./shares.ts";
import { Shares } from "./shares.ts";

/** A body that is on its way. */
export interface Arrival {
  /** More bytes came of a body whose length was not declared. Throws when they have no room. */
  grow(bytes: number): void;
  /** All of it is there, or it was given up. */
  end(): void;
}

interface Arriving {
  readonly context: RequestContext;
  readonly holder: Holder;
  readonly startedMs: number;
  readonly end: () => void;
}

/** What one request holds, given back at its end. */
interface Holding {
  readonly holder: Holder;
  bytes: number;
  isWorking: boolean;
}

const RETRY_AFTER_S = 1;

export class Admission {
  readonly #limits: GatewayLimits;
  readonly #clock: Pick<Clock, "monotonic" | "timer">;
  readonly #places: Shares;
  readonly #bytes: Shares;
  readonly #slots: Shares;
  /** Oldest first; at most `arrivingMax`. */
  readonly #arriving = new Set<Arriving>();
  /** Requests whose key is being looked up, and of these the ones whose body may be large. */
  readonly #heads = new Set<RequestContext>();
  readonly #largeHeads = new Set<RequestContext>();
  /** Requests that hold bytes or a slot; at most `arrivingMax` and `inFlightMax`. */
  readonly #holdings = new Map<RequestContext, Holding>();

  constructor(limits: GatewayLimits, clock: Pick<Clock, "monotonic" | "timer">) {
    this.#limits = limits;
    this.#clock = clock;
    this.#places = new Shares(limits.arrivingMax);
    this.#bytes = new Shares(limits.bodyBytesMax);
    this.#slots = new Shares(limits.inFlightMax);
  }

  /**
   * The head is there; nobody knows yet whose it is. The server may take in bytes of the body before they are asked for,
   * so while look-ups hang, only few bodies that may be large are let in. Throws 503.
   */
  begin(context: RequestContext, declaredLength: string | null, isChunked: boolean): void {
    const { headsMax, largeHeadsMax } = this.#limits;
    const isLarge = isChunked || Number(declaredLength ?? 0) > MANAGEMENT_BYTES_MAX;
    if (this.#heads.size >= headsMax) throw full("requests whose API key is being looked up");
    if (isLarge) {
      if (this.#largeHeads.size >= largeHeadsMax) throw full("large requests whose API key is being looked up");
      this.#largeHeads.add(context);
    }
    this.#heads.add(context);
  }

  /** It is known whose it is, and nothing of it is waited for. */
  pastHead(context: RequestContext): void {
    this.#heads.delete(context);
    this.#largeHeads.delete(context);
  }

  /** The body may come: `declaredBytes` of it, or null when its length is not declared. Throws 429 and 503. */
  arrive(context: RequestContext, holder: Holder, declaredBytes: number | null): Arrival {
    this.pastHead(context);
    const isPressed = this.#cutLateBodies(holder);
    const holding = this.#holdingOf(context, holder);
    this.#take(this.#places, holder, 1, "requests whose body is arriving");
    let isArriving = true;
    const arriving: Arriving = {
      context,
      holder,
      startedMs: this.#clock.monotonic(),
      end: () => {
        if (!isArriving) return;
        isArriving = false;
        cancelTimer?.();
        this.#arriving.delete(arriving);
        this.#places.give(holder, 1);
      },
    };
    const { bodyPressedMs } = this.#limits;
    const cancelTimer = isPressed ? this.#clock.timer(bodyPressedMs, () => this.#cut(arriving)) : null;
    this.#arriving.add(arriving);
    const grow = (bytes: number): void => {
      assert(isArriving, "a body grows while it arrives");
      this.#take(this.#bytes, holder, bytes, "bytes of bodies");
      holding.bytes += bytes;
    };
    try {
      if (declaredBytes !== null && declaredBytes > 0) grow(declaredBytes);
    } catch (refusal) {
      arriving.end();
      throw refusal;
    }
    return { grow, end: arriving.end };
  }

  /** The body is there, or there is none: the work begins. Throws 429 and 503. */
  enter(context: RequestContext, holder: Holder): void {
    this.pastHead(context);
    const holding = this.#holdingOf(context, holder);
    this.#take(this.#slots, holder, 1, "requests being worked on");
    holding.isWorking = true;
  }

  /** The work has ended, and with it what it held. */
  leave(context: RequestContext): void {
    this.pastHead(context);
    const holding = this.#holdings.get(context);
    if (holding === undefined) return;
    this.#holdings.delete(context);
    this.#bytes.give(holding.holder, holding.bytes);
    if (holding.isWorking) this.#slots.give(holding.holder, 1);
  }

  #holdingOf(context: RequestContext, holder: Holder): Holding {
    const known = this.#holdings.get(context);
    if (known !== undefined) return known;
    const holding = { holder, bytes: 0, isWorking: false };
    this.#holdings.set(context, holding);
    return holding;
  }

  #take(shares: Shares, holder: Holder, amount: number, what: string): void {
    const verdict = shares.take(holder, amount);
    if (verdict === "full") throw full(what);
    if (verdict === "over-share") throw overShare(what);
  }

  /** Under pressure, bodies that have had their shorter time make room: all, or those of the key that presses. */
  #cutLateBodies(holder: Holder): boolean {
    const bounds = [this.#places, this.#bytes];
    const isPressedByAll = bounds.some((shares) => shares.isPressed());
    if (!isPressedByAll && !bounds.some((shares) => shares.isPressedBy(holder))) return false;
    const lateMs = this.#clock.monotonic() - this.#limits.bodyPressedMs;
    for (const arriving of this.#arriving) {
      if (arriving.startedMs > lateMs) break;
      if (isPressedByAll || arriving.holder.id === holder.id) this.#cut(arriving);
    }
    return true;
  }

  #cut(arriving: Arriving): void {
    const { context } = arriving;
    arriving.end();
    context.expire?.(this.#limits.bodyPressedMs);
    this.leave(context);
  }
}

function full(what: string): PosthasteError {
  const detail = `There are too many ${what} just now; send this one again as Retry-After says.`;
  return new PosthasteError("overloaded", { detail, retryAfterS: RETRY_AFTER_S });
}

function overShare(what: string): PosthasteError {
  const detail = `This API key, or its tenant, has its share of ${what}; wait for answers, and send this one again as Retry-After says.`;
  return new PosthasteError("share-reached", { detail, retryAfterS: RETRY_AFTER_S });
}
