/** Turns for look-ups: so many in all, few for one tenant, and fewer for what had no answer the last time. */
import type { Cancel } from "../../lib/ambient.ts";
import { onAbort } from "../../lib/on-abort.ts";

/** Turns of all tenants at once. Each may be a socket, beside those of the deliveries. */
export const TURNS_MAX = 256;
/** Of those, for suspects. */
export const SUSPECTS_MAX = 128;
/** Turns of one tenant at once. */
export const TURNS_PER_TENANT_MAX = 8;
/** Of those, for suspects: a name that may well keep its turn until the deadline leaves some to the others. */
export const SUSPECTS_PER_TENANT_MAX = 4;
/** Those who may wait for a turn at once, over all tenants; one more is refused. */
export const TURNS_WAITED_FOR_MAX = 4096;

interface Waiting {
  readonly isSuspect: boolean;
  readonly begin: () => void;
}

interface Tenant {
  /** Turns held, and how many of them by suspects. */
  held: number;
  suspects: number;
  /** In the order of coming. */
  readonly waiting: Set<Waiting>;
}

export class FairTurns {
  /** Tenants that hold or want a turn, the one served last at the end. */
  readonly #tenants = new Map<string, Tenant>();
  #held = 0;
  #suspects = 0;
  #waiting = 0;

  /** Resolves with what ends the turn, to be called once. Rejects at the signal's abort, or when too many wait. */
  take(name: string, isSuspect: boolean, signal: AbortSignal): Promise<Cancel> {
    const tenant = this.#tenantOf(name);
    if (this.#mayBegin(tenant, isSuspect)) return Promise.resolve(this.#begin(name, tenant, isSuspect));
    if (this.#waiting >= TURNS_WAITED_FOR_MAX) {
      this.#forgetIdle(name, tenant);
      return Promise.reject(new Error(`${TURNS_WAITED_FOR_MAX} look-ups wait already`));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        tenant.waiting.delete(waiting);
        this.#waiting -= 1;
        cancel();
      };
      const waiting: Waiting = {
        isSuspect,
        begin: () => {
          leave();
          resolve(this.#begin(name, tenant, isSuspect));
        },
      };
      const cancel = onAbort(signal, () => {
        leave();
        this.#forgetIdle(name, tenant);
        reject(signal.reason);
      });
      tenant.waiting.add(waiting);
      this.#waiting += 1;
    });
  }

  /** Turns held, those who wait, and tenants that are remembered. */
  counts(): { readonly held: number; readonly waiting: number; readonly tenants: number } {
    return { held: this.#held, waiting: this.#waiting, tenants: this.#tenants.size };
  }

  #tenantOf(name: string): Tenant {
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    const tenant = { held: 0, suspects: 0, waiting: new Set<Waiting>() };
    this.#tenants.set(name, tenant);
    return tenant;
  }

  #mayBegin({ held, suspects }: Tenant, isSuspect: boolean): boolean {
    if (this.#held >= TURNS_MAX || held >= TURNS_PER_TENANT_MAX) return false;
    return !isSuspect || (suspects < SUSPECTS_PER_TENANT_MAX && this.#suspects < SUSPECTS_MAX);
  }

  #begin(name: string, tenant: Tenant, isSuspect: boolean): Cancel {
    this.#count(tenant, isSuspect, 1);
    return () => {
      this.#count(tenant, isSuspect, -1);
      this.#serve();
      this.#forgetIdle(name, tenant);
    };
  }

  #count(tenant: Tenant, isSuspect: boolean, change: 1 | -1): void {
    this.#held += change;
    tenant.held += change;
    if (!isSuspect) return;
    this.#suspects += change;
    tenant.suspects += change;
  }

  /** A turn ended: the first tenant that wants one and may have it goes to the end of the row with it. */
  #serve(): void {
    for (const [name, tenant] of this.#tenants) {
      for (const waiting of tenant.waiting) {
        if (!this.#mayBegin(tenant, waiting.isSuspect)) continue;
        this.#tenants.delete(name);
        this.#tenants.set(name, tenant);
        waiting.begin();
        return;
      }
    }
  }

  #forgetIdle(name: string, tenant: Tenant): void {
    if (tenant.held === 0 && tenant.waiting.size === 0) this.#tenants.delete(name);
  }
}
