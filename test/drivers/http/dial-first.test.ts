/** Connecting as RFC 8305 says, with attempts by hand. */
import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { test } from "node:test";

import {
  ADDRESSES_DIALLED_MAX,
  ATTEMPT_DELAY_MS,
  dialFirst,
  dialOrder,
} from "@posthaste/shared/drivers/http/dial-first.ts";
import { faultOf, NoSuchFamily } from "@posthaste/shared/drivers/http/network-fault.ts";
import { lacksFamilyOf } from "@posthaste/shared/drivers/http/own-families.ts";

import type { ManualClock } from "../../support/clocks/manual-clock.ts";
import { createManualClock } from "../../support/clocks/manual-clock.ts";
import { running } from "../../support/receiver.ts";

interface Harness {
  readonly clock: ManualClock;
  /** `address@ms` of each attempt. */
  readonly dialled: string[];
  readonly abandoned: string[];
  readonly closed: string[];
  connect(address: string): void;
  refuse(address: string): void;
  /** What became of it: the address reached, or the error. */
  run(addresses: readonly string[], signal?: AbortSignal): { state: string };
}

function openDials(): Harness {
  const clock = createManualClock(0);
  const [dialled, abandoned, closed]: [string[], string[], string[]] = [[], [], []];
  const open = new Map<string, { resolve: (address: string) => void; reject: (error: Error) => void }>();
  const dial = (address: string, signal: AbortSignal): Promise<string> => {
    dialled.push(`${address}@${clock.monotonic()}`);
    signal.addEventListener("abort", () => void abandoned.push(address));
    return new Promise((resolve, reject) => open.set(address, { resolve, reject }));
  };
  return {
    clock,
    dialled,
    abandoned,
    closed,
    connect: (address) => open.get(address)?.resolve(address),
    refuse: (address) => open.get(address)?.reject(new Error(`${address} refused`)),
    run(addresses, signal = running) {
      const outcome = { state: "waits" };
      dialFirst({ clock, dial, close: (address) => void closed.push(address) }, addresses, signal).then(
        ({ address }) => (outcome.state = address),
        (error: Error) => (outcome.state = error.message),
      );
      return outcome;
    },
  };
}

test("a good address behind dead ones is reached: attempts begin 250 ms apart, the first that connects wins", async () => {
  const { clock, dialled, abandoned, connect, run } = openDials();
  const outcome = run(["d1", "d2", "d3", "d4", "good", "unused"]);
  await clock.advance(4 * ATTEMPT_DELAY_MS);
  assert.deepEqual(dialled, ["d1@0", "d2@250", "d3@500", "d4@750", "good@1000"]);
  connect("good");
  await clock.settle();
  assert.equal(outcome.state, "good");
  assert.deepEqual(abandoned, ["d1", "d2", "d3", "d4", "good"]);
  await clock.advance(10_000);
  assert.equal(dialled.length, 5);
  assert.equal(clock.timerCount(), 0);
});

test("what this machine lacked for one address does not hide what the receiver said at another", async () => {
  for (const codes of [
    ["EADDRNOTAVAIL", "ECONNREFUSED"],
    ["ECONNREFUSED", "EADDRNOTAVAIL"],
  ]) {
    const dial = (address: string) => Promise.reject(Object.assign(new Error(address), { code: address }));
    const dialled = dialFirst({ clock: createManualClock(0), dial, close: () => undefined }, codes, running);
    await assert.rejects(dialled, { code: "ECONNREFUSED" });
  }
});

test("a family that this machine lacks says less than a port that it lacks: the delivery is deferred, not blamed", async () => {
  for (const [first, second] of [
    ["none", "ports"],
    ["ports", "none"],
  ] as const) {
    const faults = { none: new NoSuchFamily("IPv6"), ports: Object.assign(new Error(""), { code: "EADDRNOTAVAIL" }) };
    const dial = (address: string) => Promise.reject(address === "none" ? faults.none : faults.ports);
    const dialled = dialFirst({ clock: createManualClock(0), dial, close: () => undefined }, [first, second], running);
    await assert.rejects(dialled, (error) => faultOf(error).fault === "exhausted");
  }
  assert.equal(faultOf(new NoSuchFamily("IPv6")).fault, "unreachable");
});

test("which families this machine has: loopback speaks to itself alone, link-local to nobody else", () => {
  const info = (address: string, family: "IPv4" | "IPv6", internal = false) =>
    ({
      address,
      family,
      internal,
      netmask: "",
      mac: "",
      cidr: null,
      ...(family === "IPv6" ? { scopeid: 0 } : {}),
    }) as NetworkInterfaceInfo;
  const v4Only = {
    lo: [info("127.0.0.1", "IPv4", true), info("::1", "IPv6", true)],
    eth0: [info("192.0.2.7", "IPv4")],
  };
  assert.equal(lacksFamilyOf("198.51.100.9", v4Only), false);
  assert.equal(lacksFamilyOf("127.0.0.1", v4Only), false);
  assert.equal(lacksFamilyOf("2001:db8::9", v4Only), true);
  assert.equal(lacksFamilyOf("::1", v4Only), false);
  assert.equal(lacksFamilyOf("2001:db8::9", { ...v4Only, eth1: [info("fe80::1", "IPv6")] }), true);
  assert.equal(lacksFamilyOf("2001:db8::9", { ...v4Only, eth1: [info("2001:db8::1", "IPv6")] }), false);
  assert.equal(lacksFamilyOf("198.51.100.9", { eth0: [info("2001:db8::1", "IPv6")] }), true);
});

test("an attempt that fails makes way at once; the last failure is told when all have failed", async () => {
  const { clock, dialled, refuse, run } = openDials();
  const outcome = run(["a", "b"]);
  await clock.settle();
  refuse("a");
  await clock.settle();
  assert.deepEqual(dialled, ["a@0", "b@0"]);
  refuse("b");
  await clock.settle();
  assert.equal(outcome.state, "b refused");
});

test("a slow first address may still win, and what connects after that is closed", async () => {
  const { clock, closed, connect, run } = openDials();
  const outcome = run(["slow", "other"]);
  await clock.advance(ATTEMPT_DELAY_MS);
  connect("slow");
  connect("other");
  await clock.settle();
  assert.equal(outcome.state, "slow");
  assert.deepEqual(closed, ["other"]);
});

test("the signal ends all attempts at once", async () => {
  const { clock, abandoned, run } = openDials();
  const stop = new AbortController();
  const outcome = run(["a", "b", "c"], stop.signal);
  await clock.advance(ATTEMPT_DELAY_MS);
  stop.abort(new Error("stopping"));
  await clock.settle();
  assert.equal(outcome.state, "stopping");
  assert.deepEqual(abandoned, ["a", "b"]);
  assert.equal(clock.timerCount(), 0);
});

test("families take turns, what worked comes first, and there is a bound", () => {
  const addresses = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"];
  assert.deepEqual(dialOrder(addresses, undefined), [
    "2001:db8::1",
    "192.0.2.1",
    "2001:db8::2",
    "192.0.2.2",
    "2001:db8::3",
  ]);
  assert.deepEqual(dialOrder(addresses, "192.0.2.2").slice(0, 3), ["192.0.2.2", "2001:db8::1", "192.0.2.1"]);
  assert.deepEqual(dialOrder(["192.0.2.1", "192.0.2.2"], "198.51.100.9"), ["192.0.2.1", "192.0.2.2"]);
  const many = Array.from({ length: 40 }, (_, nth) => `192.0.2.${nth}`);
  assert.equal(dialOrder(many, "192.0.2.39").length, ADDRESSES_DIALLED_MAX);
});
