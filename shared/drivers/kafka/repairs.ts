/**
 * Repairs of kafkajs 2.2.4, whose sense of time is `Date.now()`. A clock that is set back stopped its heartbeats: the member
 * was expelled, went on reading, and its commits were refused for good; one that is set forward ended every request under
 * way. Here all that it decides by time goes by a clock that never steps: heartbeats, the age of what it knows of the
 * brokers, the end of requests, and a broker's throttling. What it only reports keeps the time of day.
 *
 * A member that is told of an unknown topic, or of an offset out of range, went on by itself under the offsets it had: where the
 * topic was deleted and made again, it passed over the first records of the new one. It ends instead, and its reader begins anew.
 *
 * And after each answer it sets a timer until the end of a throttling that never was, a negative time of which runtimes
 * warn on stderr.
 */
import kafkajs from "kafkajs";
import brokerPool from "kafkajs/src/cluster/brokerPool.js";
import consumerGroup from "kafkajs/src/consumer/consumerGroup.js";
import requestQueue from "kafkajs/src/network/requestQueue/index.js";

import type { Clock } from "../../lib/ambient.ts";

/** How often requests are looked at; kafkajs' own interval. */
const LOOK_MS = 100;
/**
 * A look counts as no more than this: of a process that was frozen, or busy, the answers lie unread in the socket, and are
 * no later for it.
 */
const LOOK_MS_MAX = 10 * LOOK_MS;

type Steady = Pick<Clock, "monotonic">;

interface SocketRequest {
  readonly requestTimeout: number;
  timeoutRequest(): void;
}

interface RequestQueue {
  readonly enforceRequestTimeout: boolean;
  readonly inflight: ReadonlyMap<number, SocketRequest>;
  readonly pending: readonly SocketRequest[];
  readonly maxInFlightRequests: number | null;
  throttledUntil: number;
  requestTimeoutIntervalId: ReturnType<typeof setInterval>;
  throttleCheckTimeoutId: ReturnType<typeof setTimeout> | null;
  isConnected(): boolean;
  destroy(): void;
  scheduleRequestTimeoutCheck(): void;
  maybeThrottle(ms: number | null): void;
  canSendSocketRequestImmediately(): boolean;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

interface ConsumerGroup {
  heartbeat(options: { readonly interval: number }): Promise<void>;
  recoverFromFetch(error: Error): Promise<void>;
}

interface BrokerPool {
  readonly metadataMaxAge: number;
  metadataExpireAt: number | null;
  refreshMetadata(topics: readonly string[]): Promise<void>;
  refreshMetadataIfNecessary(topics: readonly string[]): Promise<void>;
}

let isRepaired = false;

/** For the whole process; further calls do nothing. */
export function repairKafkajs(clock: Steady): void {
  if (isRepaired) return;
  isRepaired = true;
  repairRequestQueue(requestQueue.prototype as RequestQueue, clock);
  const group = consumerGroup.prototype as ConsumerGroup;
  repairHeartbeat(group, clock);
  repairLostPlace(group);
  repairMetadata(brokerPool.prototype as BrokerPool, clock);
}

/** Its own question whether a heartbeat is due is answered here, so it is asked with an interval that is always over. */
function repairHeartbeat(prototype: ConsumerGroup, clock: Steady): void {
  const beat = prototype.heartbeat;
  const beatAtMs = new WeakMap<ConsumerGroup, number>();
  prototype.heartbeat = async function beatWhenDue({ interval }) {
    const nowMs = clock.monotonic();
    if (nowMs < (beatAtMs.get(this) ?? -Infinity) + interval) return;
    await beat.call(this, { interval: -Infinity });
    beatAtMs.set(this, nowMs);
  };
}

/** Out of range: kafkajs first commits that the start of the log counts, which the next member goes by. */
function repairLostPlace(prototype: ConsumerGroup): void {
  const recover = prototype.recoverFromFetch;
  prototype.recoverFromFetch = async function recoverOrEnd(error) {
    const isUnknown = "type" in error && error.type === "UNKNOWN_TOPIC_OR_PARTITION";
    if (!isUnknown) await recover.call(this, error);
    if (isUnknown || error.name === "KafkaJSOffsetOutOfRange") throw new kafkajs.KafkaJSNonRetriableError(error);
  };
}

/** The age of what is known; kafkajs' own times, in which null is long ago, are not looked at any more. */
function repairMetadata(prototype: BrokerPool, clock: Steady): void {
  const { refreshMetadata, refreshMetadataIfNecessary } = prototype;
  const knownAtMs = new WeakMap<BrokerPool, number>();
  prototype.refreshMetadata = async function refreshAndNote(topics) {
    await refreshMetadata.call(this, topics);
    knownAtMs.set(this, clock.monotonic());
  };
  prototype.refreshMetadataIfNecessary = async function refreshWhenOld(topics) {
    const isOld = clock.monotonic() >= (knownAtMs.get(this) ?? -Infinity) + this.metadataMaxAge;
    if (isOld) this.metadataExpireAt = null;
    else if (this.metadataExpireAt !== null) this.metadataExpireAt = Infinity;
    await refreshMetadataIfNecessary.call(this, topics);
  };
}

function repairRequestQueue(prototype: RequestQueue, clock: Steady): void {
  prototype.scheduleRequestTimeoutCheck = function endLateRequests() {
    if (!this.enforceRequestTimeout) return;
    this.destroy();
    const waitedMs = new WeakMap<SocketRequest, number>();
    let lookedAtMs = clock.monotonic();
    this.requestTimeoutIntervalId = setInterval(() => {
      const nowMs = clock.monotonic();
      const passedMs = Math.min(nowMs - lookedAtMs, LOOK_MS_MAX);
      lookedAtMs = nowMs;
      for (const request of this.inflight.values()) {
        const ms = (waitedMs.get(request) ?? 0) + passedMs;
        waitedMs.set(request, ms);
        if (ms > request.requestTimeout) request.timeoutRequest();
      }
      if (!this.isConnected()) this.destroy();
    }, LOOK_MS);
  };
  prototype.maybeThrottle = function throttle(ms) {
    if (ms !== null && ms > 0) this.throttledUntil = Math.max(this.throttledUntil, clock.monotonic() + ms);
  };
  prototype.canSendSocketRequestImmediately = function hasRoom() {
    const isFull = this.maxInFlightRequests !== null && this.inflight.size >= this.maxInFlightRequests;
    return !isFull && this.throttledUntil <= clock.monotonic();
  };
  prototype.scheduleCheckPendingRequests = function lookAtWhatWaits() {
    // Nothing that waits means nothing to look at later.
    if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
    const leftMs = this.throttledUntil - clock.monotonic();
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      leftMs > 0 ? leftMs : 10,
    );
  };
}
