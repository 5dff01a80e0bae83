/** Publishers whose body comes in two parts, and the gateway's slots that they must not hold meanwhile. */
import type { GatewayLimits } from "@posthaste/gateway/request/deps.ts";
import { DEFAULT_LIMITS } from "@posthaste/gateway/request/deps.ts";
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { Chance } from "./chance.ts";
import type { Trace } from "./trace.ts";

/** The second part follows well within the time of a request. */
const LATE_MS_MAX = 7000;
/**
 * So few that some bodies on their way would fill them, were they to hold one each. A key alone gets a third of them, less
 * while others hold some.
 */
const SLOTS = 18;
const SLOTS_OF_KEY = 3;
const REFUSED = /requests being worked on/;

export function gatewayLimitsFor(slowBodyRate: number): GatewayLimits {
  return slowBodyRate === 0 ? DEFAULT_LIMITS : { ...DEFAULT_LIMITS, inFlightMax: SLOTS };
}

export interface BodyWay {
  /** The body as it arrives, and whether all of it has. */
  readonly stream: ReadableStream<Uint8Array> | string;
  readonly isWhole: () => boolean;
}

export interface SlowBodies {
  begin(path: string, text: string): BodyWay;
  /** The request of that body was answered. */
  end(way: BodyWay, answer: { readonly status: number; readonly text: string }): void;
}

export function createSlowBodies(parts: {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly rate: number;
}): SlowBodies {
  const { clock, chance, trace, rate } = parts;
  const open = new Set<BodyWay>();

  function slow(text: string): BodyWay {
    const bytes = new TextEncoder().encode(text);
    const at = chance.whole(1, bytes.length - 1);
    const lateMs = chance.magnitude(1, LATE_MS_MAX);
    let isWhole = false;
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.slice(0, at));
        clock.timer(lateMs, () => {
          isWhole = true;
          try {
            controller.enqueue(bytes.slice(at));
            controller.close();
          } catch {
            // The gateway has given it up.
          }
        });
      },
    });
    return { stream, isWhole: () => isWhole };
  }

  return {
    begin(path, text) {
      // Owners are prompt: what they ask for takes effect in the order in which it arrives.
      const isSlow = path.startsWith("/v1/events") && chance.isTrue(rate);
      const way: BodyWay = isSlow ? slow(text) : { stream: text, isWhole: () => true };
      open.add(way);
      return way;
    },
    end(way, { status, text }) {
      open.delete(way);
      const atWork = [...open].filter((each) => each.isWhole()).length;
      if ((status === 429 || status === 503) && REFUSED.test(text) && atWork < SLOTS_OF_KEY) {
        trace.violation("a body on its way holds no slot", `${status} with ${atWork} requests at work: ${text}`);
      }
    },
  };
}
