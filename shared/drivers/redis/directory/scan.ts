/**
 * Goes over every tenant in memory in the background, one after the other: one scan at a time, and what is asked for
 * meanwhile follows it. A scan that Redis broke off begins anew at the next sign that it answers.
 */
import { isDamage, isStoreUnavailable } from "../../../domain/errors.ts";

export interface DirectoryScan {
  begin(): void;
  /** Redis answers: takes up again what was broken off. */
  goOn(): void;
}

export function createDirectoryScan(options: {
  readonly tenants: () => readonly string[];
  readonly load: (tenant: string) => Promise<unknown>;
  /** Told of what is damaged or no `store-unavailable`; the scan passes that tenant over. */
  readonly onFault: (error: unknown) => void;
}): DirectoryScan {
  const { tenants, load, onFault } = options;
  let isWanted = false;
  let isScanning = false;

  async function scan(): Promise<void> {
    isScanning = true;
    while (isWanted) {
      isWanted = false;
      if (!(await scanOnce())) {
        isWanted = true;
        break;
      }
    }
    isScanning = false;
  }

  /** False: Redis does not answer. */
  async function scanOnce(): Promise<boolean> {
    for (const tenant of tenants()) {
      try {
        await load(tenant);
      } catch (error) {
        if (isStoreUnavailable(error) && !isDamage(error)) return false;
        onFault(error);
      }
    }
    return true;
  }

  function goOn(): void {
    if (isWanted && !isScanning) void scan();
  }

  return {
    goOn,
    begin() {
      isWanted = true;
      goOn();
    },
  };
}
