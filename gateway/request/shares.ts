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
  /** Keys and tenants that hold something, so at most as many as there are requests. */
  readonly #byName = new Map<string, number>();

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

  #claimOf(holder: Holder): number {
    const ofKey = KEY_WEIGHT * this.#of(keyName(holder));
    return holder.tenant === null ? ofKey : Math.max(ofKey, this.#of(tenantName(holder.tenant)));
  }

  #of(name: string): number {
    return this.#byName.get(name) ?? 0;
  }

  #add(holder: Holder, amount: number): void {
    this.#held += amount;
    this.#set(keyName(holder), amount);
    if (holder.tenant !== null) this.#set(tenantName(holder.tenant), amount);
  }

  #set(name: string, amount: number): void {
    const held = this.#of(name) + amount;
    if (held === 0) this.#byName.delete(name);
    else this.#byName.set(name, held);
  }
}

function keyName({ id }: Holder): string {
  return `key ${id}`;
}

function tenantName(tenant: string): string {
  return `tenant ${tenant}`;
}
