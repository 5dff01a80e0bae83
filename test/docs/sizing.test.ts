/** docs/sizing.md adds up: its bounds are those of the code, and its loads follow from its figures. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PROCESSOR_LIMITS } from "@posthaste/processor/limits.ts";
import { INBOUND_MAX, RESERVED } from "@posthaste/shared/domain/descriptor-plan.ts";
import { RETENTION_DAYS_MIN, SPOOL_BYTES_MAX } from "@posthaste/shared/domain/distributed-config.ts";
import { DEAD_LETTER_INDEX_BYTES_MAX } from "@posthaste/shared/drivers/redis/dead-letters/index-store.ts";
import { HIGH_LANE_BOUNDS } from "@posthaste/shared/drivers/redis/high-lane/append.ts";
import { LEDGER_BOUNDS } from "@posthaste/shared/drivers/redis/ledger/bounds.ts";
import { SEGMENTS_BYTES_MAX } from "@posthaste/shared/drivers/sqlite/copy-hold.ts";
import { DATABASE_BYTES_MAX } from "@posthaste/shared/drivers/sqlite/retention.ts";
import { CLAIM_BYTES_MAX } from "@posthaste/shared/ports/claims.ts";

const ROOT = join(import.meta.dirname, "../..");
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const DAY_S = 24 * 3600;
const ANSWER_S = 0.2;
const SHARDS = 16;
const text = readFileSync(join(ROOT, "docs/sizing.md"), "utf8");
const rows = [...text.matchAll(/^\| (.+) \|$/gm)].map(([, row = ""]) => row.split("|").map((cell) => cell.trim()));

/** The cells behind the first of the row that begins so. */
function cellsOf(name: string): readonly string[] {
  const found = rows.filter(([first]) => first === name);
  assert.equal(found.length, 1, `one row: ${name}`);
  return found[0]?.slice(1) ?? [];
}

const numberOf = (cell = ""): number => Number(cell.replaceAll(",", ""));
const figureOf = (name: string): number => numberOf(cellsOf(name)[0]);
const says = (words: string): void => assert.ok(text.replaceAll(/\s+/g, " ").includes(words), words);
const shown = (value: number, digits = 0): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

test("docs/sizing.md names the bounds that the stores have, and their sums", () => {
  const redis = rows.filter(([where]) => where === "Redis").map(([, , most = ""]) => most);
  const bytes = [
    HIGH_LANE_BOUNDS.bytesMax,
    SPOOL_BYTES_MAX,
    DEAD_LETTER_INDEX_BYTES_MAX,
    CLAIM_BYTES_MAX,
    LEDGER_BOUNDS.bytesPerShardMax,
  ];
  assert.deepEqual(
    redis,
    bytes.map((each) => `${shown(each / MIB)} MiB`),
  );
  const all = bytes.reduce((sum, each) => sum + each, 0);
  says(`\`maxmemory\` ${shown(all / MIB)} MiB`);
  says(`and ${shown((all - CLAIM_BYTES_MAX) / MIB)} MiB where they are not`);
  says(`each further shard adds ${LEDGER_BOUNDS.bytesPerShardMax / MIB} MiB`);
  assert.equal(cellsOf("embedded file")[1], `${DATABASE_BYTES_MAX / GIB} GiB`);
  says(`needs ${DATABASE_BYTES_MAX / GIB} GiB for the file`);
  says(`Past ${(DATABASE_BYTES_MAX - CLAIM_BYTES_MAX) / GIB} GiB beside the idempotency keys`);
  says(`${SEGMENTS_BYTES_MAX / GIB} GiB more while \`posthaste backup\` runs`);
  const kept = LEDGER_BOUNDS.bytesPerShardMax / figureOf("bytes of Redis' memory, HIGH, for a day");
  says(`show about ${shown(Math.floor(kept / 1000) * 1000)} events`);
  says(`of one tenant ${shown(LEDGER_BOUNDS.eventsPerTenantMax)} at the most`);
});

test("docs/sizing.md shares out the descriptors and attempts that a process has", () => {
  const { inFlightMax, inFlightPerEndpointMax } = PROCESSOR_LIMITS;
  says(`at most ${inFlightMax} at once, ${inFlightPerEndpointMax} to one endpoint`);
  says(
    `uses ${RESERVED} descriptors for itself, ${shown(2 * inFlightMax)} for deliveries and ${shown(INBOUND_MAX)} for`,
  );
  says(`with ${shown(RESERVED + 2 * inFlightMax + INBOUND_MAX)} it does all that it may`);
});

test("the loads of docs/sizing.md follow from its figures", () => {
  const rates = cellsOf("events a second").map(numberOf);
  const sets = cellsOf("set");
  const isEmbedded = (index: number): boolean => sets[index] === "embedded";
  const row = (name: string, of: (rate: number, index: number) => string): void =>
    assert.deepEqual(cellsOf(name), rates.map(of), name);
  assert.deepEqual(rates, [10, 200, 2000]);
  row("events a day", (rate) => shown(rate * DAY_S));
  const us = [figureOf("µs, embedded, at 200 events a second"), figureOf("µs, distributed, MEDIUM")] as const;
  row("our processor time, cores", (rate, index) => shown((rate * us[isEmbedded(index) ? 0 : 1]) / 1e6, 2));
  row("attempts in flight", (rate) => shown(rate * ANSWER_S));
  const inFile = figureOf("bytes of the embedded file, for a day");
  row("embedded file, GiB", (rate, index) => (isEmbedded(index) ? shown((rate * DAY_S * inFile) / GIB, 1) : ""));
  const inKafka = figureOf("bytes in Kafka, one replica, MEDIUM, for the retention");
  const kafkaGib = (rate: number): number => (rate * DAY_S * RETENTION_DAYS_MIN * inKafka) / GIB;
  row("Kafka, one replica, GiB", (rate, index) => (isEmbedded(index) ? "" : shown(kafkaGib(rate), 1)));
  says(`Kafka with ${shown(kafkaGib(200))} GiB for each replica`);
  const kept = LEDGER_BOUNDS.bytesPerShardMax / figureOf("bytes of Redis' memory, HIGH, for a day");
  row("history that 16 shards of Redis show, minutes", (rate, index) =>
    isEmbedded(index) ? "" : shown((SHARDS * kept) / rate / 60),
  );
});

test("each command of docs/sizing.md is a bench there is, and the README leads to the page", () => {
  const help = readFileSync(join(ROOT, "bench/main.ts"), "utf8");
  const names = [...text.matchAll(/`(?:npm run bench )?-- ([a-z -]+)`/g)].flatMap(([, words = ""]) => words.split(" "));
  assert.ok(names.length > 10);
  for (const name of names) assert.match(help, new RegExp(`(?:^|[ ",])${name}(?:$|[ ",:])`, "m"), name);
  assert.ok(readFileSync(join(ROOT, "README.md"), "utf8").includes("| [docs/sizing.md](docs/sizing.md) |"));
});
