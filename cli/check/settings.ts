/** What the settings say by themselves: as the programs read them, and what of it is risky. Touches nothing but the environment. */
import type { Cidr } from "@posthaste/shared/domain/address-guard.ts";
import { checkAddress } from "@posthaste/shared/domain/address-guard.ts";
import type { Config, Environment } from "@posthaste/shared/domain/config.ts";
import { ConfigError, parseConfig } from "@posthaste/shared/domain/config.ts";
import type { DistributedConfig } from "@posthaste/shared/domain/distributed-config.ts";
import { parseDistributed } from "@posthaste/shared/domain/distributed-config.ts";
import { resourceAttributesFault } from "@posthaste/shared/domain/resource-attributes.ts";
import { readPortalLook } from "@posthaste/shared/runtime/portal-look.ts";
import { unknownSettings } from "@posthaste/shared/domain/unknown-settings.ts";
import type { Finding } from "./finding.ts";
import { findingOf, fine, risky, wrong } from "./finding.ts";

export interface ReadSettings {
  /** Null: a program would not start with them. */
  readonly config: Config | null;
  /** Null as well for the embedded set. */
  readonly distributed: DistributedConfig | null;
  readonly findings: readonly Finding[];
}

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/;
/** Where clouds hand out the credentials of a machine. */
const CREDENTIALS = "169.254.169.254";
/** Addresses that stand for networks that seldom are meant: this machine, and each private one. */
const DOORS = [
  { address: "127.0.0.1", network: "this machine itself" },
  { address: "10.0.0.1", network: "10.0.0.0/8" },
  { address: "172.16.0.1", network: "172.16.0.0/12" },
  { address: "192.168.0.1", network: "192.168.0.0/16" },
] as const;
/** Fewer different characters or bytes than this were typed, not drawn. */
const KEY_VARIETY_MIN = 10;

export function readSettings(env: Environment): ReadSettings {
  const findings: Finding[] = [];
  const read = <Value>(parse: () => Value): Value | null => {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      findings.push(
        ...error.problems.map((problem) => findingOf("wrong", problem.split(" ")[0] ?? "settings", problem)),
      );
      return null;
    }
  };
  const config = read(() => parseConfig(env));
  const distributed = read(() => parseDistributed(env));
  read(() => readPortalLook(env));
  for (const fault of [...unknownSettings(env), resourceAttributesFault(env)]) {
    if (fault !== null) findings.push(findingOf("risky", fault.split(" ")[0] ?? "settings", fault));
  }
  if (findings.length === 0) findings.push(fine("settings", "are read as the programs read them"));
  if (config !== null) findings.push(...risksOf(config, distributed));
  if (distributed !== null) findings.push(...storeRisksOf(distributed));
  else if (config !== null && config.gatewayProcesses > 1) {
    const remedy = "Leave it out, or set REDIS_URL and KAFKA_BROKERS too and run posthaste gateway.";
    findings.push(wrong("GATEWAY_PROCESSES", "is more than 1, and one process owns the database of serve", remedy));
  }
  return { config, distributed, findings };
}

function risksOf(config: Config, distributed: DistributedConfig | null): readonly Finding[] {
  const { host, port, logLevel, masterKey, masterKeyPrevious, operatorKey } = config;
  const findings: Finding[] = [];
  if (LOOPBACK.test(host)) findings.push(fine("HOST", `listens on ${host} alone, port ${port}`));
  else {
    const remedy =
      "Put a proxy with TLS before it and let others reach that alone, or set HOST=127.0.0.1; /metrics is open to whoever reaches the port.";
    findings.push(
      risky("HOST", `${host} is reached from other machines, and keys and events go there unencrypted`, remedy),
    );
  }
  findings.push(...doorsIn(config.allowCidrs ?? []));
  findings.push(operatorFinding(operatorKey, distributed !== null));
  if (masterKey !== null && new Set(masterKey).size < KEY_VARIETY_MIN) {
    const remedy = "Make one by `openssl rand -base64 32`, and reseal (docs/operations.md, A new master key).";
    findings.push(wrong("POSTHASTE_MASTER_KEY", "was not drawn at random", remedy));
  } else if (masterKey !== null) findings.push(fine("POSTHASTE_MASTER_KEY", "is set"));
  if (masterKeyPrevious !== null) {
    const remedy = "Take it away from every process once posthaste reseal says that nothing is left under it.";
    findings.push(risky("POSTHASTE_MASTER_KEY_PREVIOUS", "is set: what it sealed can still be opened with it", remedy));
  }
  if (logLevel === "debug") {
    findings.push(
      risky("LOG_LEVEL", "is debug, several lines for each event", "Set LOG_LEVEL=info outside of a search."),
    );
  }
  return findings;
}

function doorsIn(allow: readonly Cidr[]): readonly Finding[] {
  const about = "POSTHASTE_ALLOW_CIDRS";
  const isOpen = (address: string): boolean => checkAddress(address, allow).kind === "allowed";
  const remedy = "Name only the networks, or the single addresses, that receivers are in.";
  const networks = DOORS.filter(({ address }) => isOpen(address)).map(({ network }) => network);
  const open = networks.length === 0 ? [] : [risky(about, `lets endpoints lead into ${networks.join(", ")}`, remedy)];
  if (isOpen(CREDENTIALS)) {
    return [wrong(about, `lets endpoints lead to ${CREDENTIALS}, where clouds hand out credentials`, remedy), ...open];
  }
  return open.length === 0 ? [fine(about, "opens none of the networks that endpoints must not reach")] : open;
}

function operatorFinding(key: string | null, isDistributed: boolean): Finding {
  const about = "POSTHASTE_OPERATOR_KEY";
  if (key === null) {
    const how = isDistributed ? "the first gateway" : "the first start of serve";
    return fine(about, `is not set: ${how} makes a key and shows it once on stderr`);
  }
  if (new Set(key).size >= KEY_VARIETY_MIN) return fine(about, "is set");
  return wrong(about, "can be guessed: it repeats a few characters", "Make one by `openssl rand -hex 24`.");
}

function storeRisksOf({ redisUrl, redisCacheUrl, kafka }: DistributedConfig): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [name, url] of [
    ["REDIS_URL", redisUrl],
    ["REDIS_CACHE_URL", redisCacheUrl],
  ] as const) {
    if (url === null || isHere(url)) continue;
    if (!url.startsWith("rediss")) {
      findings.push(
        risky(
          name,
          "goes to another machine unencrypted",
          "Write rediss:// where Redis has TLS, or keep it on a network of its own.",
        ),
      );
    }
    if (!url.includes("@"))
      findings.push(risky(name, "has no password", "Set requirepass or an ACL in Redis, and name the password here."));
  }
  const isAway = kafka.brokers.some((broker) => !LOOPBACK.test(broker.replace(/:\d+$/, "").replace(/^\[|\]$/g, "")));
  if (isAway && !kafka.isTls) {
    findings.push(
      risky(
        "KAFKA_TLS",
        "is off, and Kafka is on another machine",
        "Set KAFKA_TLS=true where its listener has TLS, or keep it on a network of its own.",
      ),
    );
  }
  if (kafka.replication === 1) {
    findings.push(
      risky(
        "KAFKA_REPLICATION",
        "is 1: the loss of one broker's disk loses accepted events",
        "Set KAFKA_REPLICATION=3 and KAFKA_MIN_ISR=2 with three brokers, before the topics are made.",
      ),
    );
  } else if (kafka.minInSync === 1) {
    findings.push(
      risky(
        "KAFKA_MIN_ISR",
        "is 1: a 202 may stand on one broker alone",
        "Set KAFKA_MIN_ISR to one less than KAFKA_REPLICATION.",
      ),
    );
  }
  return findings;
}

function isHere(redisUrl: string): boolean {
  const hosts = redisUrl.replace(/^[^:]+:\/\/(?:.*@)?/s, "").replace(/\/.*$/s, "");
  return hosts.split(",").every((host) => LOOPBACK.test(host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "")));
}
