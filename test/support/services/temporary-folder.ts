/** A folder of its own below the system's temporary folder, gone when it is disposed or when this process ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reaper } from "./reaper.ts";

export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

export function openTemporaryFolder(name: string): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `posthaste-${name}-`));
  reaper.watchFolder(path);
  return {
    path,
    [Symbol.dispose]: () => {
      // A process that was killed a moment ago may still be closing its files.
      rmSync(path, { recursive: true, force: true, maxRetries: 5 });
      reaper.forgetFolder(path);
    },
  };
}
