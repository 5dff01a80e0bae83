/**
 * Names in the environment that look like settings of ours and are none, each with the nearest that is. A warning and no
 * error: an orchestrator may add names of its own, as Kubernetes does for a service called `posthaste`.
 */
import type { Environment } from "./config.ts";

const PREFIX = "POSTHASTE_";

/** Which of `GATEWAY_PROCESSES` it is; set by their parent and by nobody else. */
export const CHILD_NUMBER = "POSTHASTE_GATEWAY_PROCESS";

/** Every setting of every program, and what the command line, the examples and the tests read. */
export const SETTINGS: readonly string[] = [
  ..."HOST PORT PROCESSOR_PORT LOG_LEVEL LOG_DELIVERIES STOP_NOTICE_S IDEMPOTENCY_GIB ENDPOINT_DISABLE_AFTER_S ALERT_RULES".split(
    " ",
  ),
  ..."EVENT_TYPES EVENT_TYPES_DOCS".split(" "),
  ..."POSTHASTE_DATA POSTHASTE_OPERATOR_KEY POSTHASTE_ALLOW_CIDRS POSTHASTE_MASTER_KEY".split(" "),
  ..."POSTHASTE_MASTER_KEY_PREVIOUS POSTHASTE_MASTER_KEY_NEXT".split(" "),
  ..."POSTHASTE_HTTP_CLIENT POSTHASTE_NAME_SERVERS".split(" "),
  ..."PORTAL_URL PORTAL_ORIGINS PORTAL_NAME PORTAL_COLOUR PORTAL_LOGO".split(" "),
  ..."GATEWAY_PROCESSES GATEWAY_COUNT PROCESSOR_COUNT".split(" "),
  ..."REDIS_URL REDIS_CACHE_URL REDIS_SHARDS REDIS_PREFIX REDIS_SPOOL_MIB".split(" "),
  ..."KAFKA_BROKERS KAFKA_TLS KAFKA_SASL_MECHANISM KAFKA_SASL_USERNAME KAFKA_SASL_PASSWORD".split(" "),
  ..."KAFKA_PREFIX KAFKA_PARTITIONS KAFKA_REPLICATION KAFKA_MIN_ISR KAFKA_RETENTION_DAYS".split(" "),
];
const OTHERS: ReadonlySet<string> = new Set(
  "POSTHASTE_URL POSTHASTE_API_KEY POSTHASTE_KEY POSTHASTE_FULL".split(" ").concat(CHILD_NUMBER),
);

/** Environment variables of a Kubernetes service: `..._SERVICE_HOST`, and `..._PORT` with a URL as its value. */
const ORCHESTRATED = /_SERVICE_(?:HOST|PORT)(?:_\w+)?$|_PORT(?:_\d+_(?:TCP|UDP)(?:_\w+)?)?$/;
const ORCHESTRATED_VALUE = /^(?:tcp|udp):\/\//;

/** A name is taken for a mistyped one when at most this part of its letters differs. */
const DIFFERENCE_MAX = 0.5;
/** Without our prefix a name may be another's: only one that differs in so many letters from a setting of ours is a mistake. */
const LETTERS_MAX = 2;
/** Shorter settings are near too many names of others. */
const NEAR_LENGTH_MIN = 8;

/** One sentence each, in the order of the environment; values are never shown. */
export function unknownSettings(environment: Environment): readonly string[] {
  return Object.entries(environment)
    .filter(([name, value]) => isMeantForUs(name, value ?? "") || isNear(name))
    .map(([name]) => {
      const nearest = nearestSetting(name);
      return `${name} is no setting and has no effect${nearest === null ? "" : `; did you mean ${nearest}?`}`;
    });
}

function isMeantForUs(name: string, value: string): boolean {
  if (!name.startsWith(PREFIX) || SETTINGS.includes(name) || OTHERS.has(name)) return false;
  const isOrchestrated = ORCHESTRATED.test(name) && (name.includes("_SERVICE_") || ORCHESTRATED_VALUE.test(value));
  return !isOrchestrated && !/_PORT_\d+_(?:TCP|UDP)_/.test(name);
}

/** In any case of letters: `posthaste_data` is none of ours on systems that tell them apart. */
function isNear(name: string): boolean {
  if (name.length < NEAR_LENGTH_MIN - LETTERS_MAX || SETTINGS.includes(name) || OTHERS.has(name)) return false;
  const upper = name.toUpperCase();
  return SETTINGS.some(
    (setting) =>
      setting.length >= NEAR_LENGTH_MIN &&
      Math.abs(setting.length - upper.length) <= LETTERS_MAX &&
      editDistance(upper, setting) <= LETTERS_MAX,
  );
}

function nearestSetting(given: string): string | null {
  const name = given.toUpperCase();
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  let nearest: string | null = null;
  let least = Infinity;
  for (const setting of SETTINGS) {
    const wanted = name !== bare && setting.startsWith(PREFIX) ? setting.slice(PREFIX.length) : setting;
    const difference = editDistance(bare, wanted) / Math.max(bare.length, wanted.length);
    if (difference < least) [nearest, least] = [setting, difference];
  }
  return least <= DIFFERENCE_MAX ? nearest : null;
}

/** Letters to insert, delete or replace (Levenshtein). */
export function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let at = 1; at <= left.length; at++) {
    const next = [at];
    for (let to = 1; to <= right.length; to++) {
      const replaced = (row[to - 1] ?? 0) + (left[at - 1] === right[to - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[to] ?? 0) + 1, (next[to - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
