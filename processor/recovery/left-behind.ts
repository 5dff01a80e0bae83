/**
 * What overflowed (`backlog`) is called back by the process in which it did, when there is room. Where that process was killed,
 * and none was started since, another finds it here.
 */
import type { Clock } from "@posthaste/shared/lib/ambient.ts";
import type { DeadLetters } from "@posthaste/shared/ports/dead-letters.ts";
import type { EndpointLimiters } from "../endpoint/limiters.ts";
import type { Recovery } from "./recovery.ts";
import { ALARM_MS_MAX } from "@posthaste/shared/lib/alarm.ts";
import { forEachHeldEndpoint } from "./held-endpoints.ts";
import { lookRepeatedly } from "@posthaste/shared/lib/look-repeatedly.ts";

/** Between looks. */
export const LOOK_MS = 30 * 60_000;
/** Whoever keeps it back himself has looked for room a few times by then (`QUIET_MS_MAX` in `condition.ts`). */
export const LEFT_MS = 2 * 3600_000;

/** Recovers each endpoint of which something was left. Rejects as the store does. */
export async function recoverLeft(
  deps: {
    readonly clock: Clock;
    readonly deadLetters: Pick<DeadLetters, "list">;
    readonly limiters: Pick<EndpointLimiters, "keepsBack">;
    readonly recovery: Pick<Recovery, "recover">;
  },
  signal: AbortSignal,
): Promise<void> {
  const { clock, deadLetters, limiters, recovery } = deps;
  const filter = { tenant: null, state: "backlog", untilMs: clock.now() - LEFT_MS } as const;
  const work = async (tenant: string, endpointId: string): Promise<void> => {
    if (!limiters.keepsBack(endpointId)) await recovery.recover(tenant, endpointId);
  };
  await forEachHeldEndpoint({ clock, deadLetters, work }, [filter], signal);
}

/** Looks now and then; for processes that share their stores with others. */
export function watchLeftBehind(options: {
  readonly clock: Clock;
  /** Must not reject. */
  readonly recoverLeft: () => Promise<void>;
}): Disposable {
  const { clock, recoverLeft: look } = options;
  let lookedAtMs = clock.monotonic();
  return lookRepeatedly(clock, ALARM_MS_MAX, async () => {
    if (clock.monotonic() - lookedAtMs >= LOOK_MS) {
      lookedAtMs = clock.monotonic();
      await look();
    }
    return ALARM_MS_MAX;
  });
}
