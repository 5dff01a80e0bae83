/**
 * Goes over every tenant in memory in the background, one after the other: one walk at a time, and what is asked for
 * meanwhile follows it. A walk that Redis broke off begins anew at the next sign that it answers.
 */
import { isStoreUnavailable } from "../../../domain/errors.ts";

export interface DirectoryWalk {
  begin(): void;
  /** Redis answers: takes up again what was broken off. */
  goOn(): void;
}

export function createDirectoryWalk(options: {
  readonly tenants: () => readonly string[];
  readonly load: (tenant: string) => Promise<unknown>;
  /** Told of what is not `store-unavailable`; the walk passes that tenant over. */
  readonly onFault: (error: unknown) => void;
}): DirectoryWalk {
  const { tenants, load, onFault } = options;
  let isWanted = false;
  let isWalking = false;

  async function walk(): Promise<void> {
    isWalking = true;
    while (isWanted) {
      isWanted = false;
      if (!(await walkOnce())) {
        isWanted = true;
        break;
      }
    }
    isWalking = false;
  }

  /** False: Redis does not answer. */
  async function walkOnce(): Promise<boolean> {
    for (const tenant of tenants()) {
      try {
        await load(tenant);
      } catch (error) {
        if (isStoreUnavailable(error)) return false;
        onFault(error);
      }
    }
    return true;
  }

  function goOn(): void {
    if (isWanted && !isWalking) void walk();
  }

  return {
    goOn,
    begin() {
      isWanted = true;
      goOn();
    },
  };
}
