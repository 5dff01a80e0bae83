/** Cases that hold on each kind of sockets that `serveHttp` listens with: on Bun its own and those of `node:net`, elsewhere the latter. */
import { test as testOnce } from "node:test";

const isBun = process.versions["bun"] !== undefined;

/** For one file, whose cases run one after the other. */
export function onEachListener() {
  let isShared = !isBun;
  return {
    /** For `ServeOptions.isShared`: what is shared comes over `node:net`. */
    isShared: () => isShared,
    test(name: string, body: () => Promise<void>): void {
      if (isBun) {
        testOnce(name, async () => {
          isShared = false;
          await body();
        });
      }
      testOnce(isBun ? `${name} (node:net)` : name, async () => {
        isShared = true;
        await body();
      });
    },
  };
}
