/**
 * One bound that all API keys and tenants share: requests, or bytes. Who holds much needs much to be free (dynamic
 * thresholds: Choudhury and Hahne, IEEE/ACM Trans. Networking 6(2), 1998). A key alone gets a third of the bound, the
 * keys of one tenant together a half, and each further one that floods a part of what is left. So nobody takes all, and
 * no number of tenants has to be known.
 */
import type { ApiKey } from "@posthaste/shared/domain/api-key.ts";

/** Who holds: keys of one tenant count together; an operator's key counts by itself. */
export type Holder = Pick<ApiKey, "id" | "tenant">;

export type ShareVerdict = "taken" | "full" | "over-share";

/** What a key holds counts double beside what its tenant holds. */
const KEY_WEIGHT = 2;

export class Shares {
  readonly #max: number;
  #held = 0;
  /** By id; only those that hold something, so at most as many as there are requests. */
  readonly #byKey = new Map<string, number>();
  readonly #byTenant = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  take(holder: Holder, amount: number): ShareVerdict {
    const free = this.#max - this.#held;
    if (amount > free) return "full";
    if (this.#claimOf(holder) > free) return "over-share";
    this.#add(holder, amount);
    return "taken";
  }

  give(holder: Holder, amount: number): void {
    this.#add(holder, -amount);
  }

  /** Half of the bound is taken. */
  isPressed(): boolean {
    return this.#held * 2 >= this.#max;
  }

  /** The key or its tenant holds half of what it could hold now. */
  isPressedBy(holder: Holder): boolean {
    return this.#claimOf(holder) * 2 >= this.#max - this.#held;
  }

  #claimOf({ id, tenant }: Holder): number {
    const ofKey = KEY_WEIGHT * (this.#byKey.get(id) ?? 0);
    return tenant === null ? ofKey : Math.max(ofKey, this.#byTenant.get(tenant) ?? 0);
  }

  #add({ id, tenant }: Holder, amount: number): void {
    this.#held += amount;
    add(this.#byKey, id, amount);
    if (tenant !== null) add(this.#byTenant, tenant, amount);
  }
}

function add(held: Map<string, number>, name: string, amount: number): void {
  const sum = (held.get(name) ?? 0) + amount;
  if (sum === 0) held.delete(name);
  else held.set(name, sum);
}
