/**
 * A repair of kafkajs 2.2.4: after each answer it sets a timer until the end of a throttling that never was, a negative
 * time of which runtimes warn on stderr. Nothing that waits means nothing to look at later.
 */
import { createRequire } from "node:module";

interface RequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

const require = createRequire(import.meta.url);
const { prototype } = require("kafkajs/src/network/requestQueue/index.js") as { readonly prototype: RequestQueue };
const schedule = Reflect.get(prototype, "scheduleCheckPendingRequests");
let isRepaired = false;

export function repairRequestQueue(): void {
  if (isRepaired) return;
  isRepaired = true;
  prototype.scheduleCheckPendingRequests = function scheduleWhatWaits() {
    if (this.pending.length > 0) schedule.call(this);
  };
}
