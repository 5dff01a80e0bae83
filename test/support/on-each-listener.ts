/**
 * Cases that hold on each kind of sockets that `serveHttp` listens with: on Bun its own, and those of `node:net` where the port
 * is shared; elsewhere `node:net` for both.
 */
import { test as testOnce } from "node:test";

/** For one file, whose cases run one after the other. */
export function onEachListener() {
  let isShared = false;
  return {
    /** For `ServeOptions.isShared`. */
    isShared: () => isShared,
    test(name: string, body: () => Promise<void>): void {
      for (const isSharedHere of [false, true]) {
        testOnce(isSharedHere ? `${name} (a shared port)` : name, async () => {
          isShared = isSharedHere;
          await body();
        });
      }
    },
  };
}
