/**
 * Settings of the environment, parsed once. Every problem is named with its variable and the remedy; secrets never
 * appear in an error. What is not set has the default given here.
 */
import * as v from "valibot";
import type { Cidr } from "./address-guard.ts";
import { parseAddress, parseCidrs } from "./address-guard.ts";
import type { AlertRules } from "./alert-rules.ts";
import { AlertFigures } from "./alert-rules.ts";
import { DISABLE_AFTER_MS } from "./endpoint-trouble.ts";
import type { CatalogueRules } from "./event-types.ts";
import { ShownTypes, TakenTypes } from "./event-types.ts";
import { decodeBase64 } from "./base64.ts";
import type { OtlpConfig } from "./otlp-config.ts";
import { parseOtlp } from "./otlp-config.ts";
import type { ResourceAttributes } from "./resource-attributes.ts";
import { resourceAttributesOf } from "./resource-attributes.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Config {
  readonly host: string;
  readonly port: number;
  /** 0: any free port. */
  readonly processorPort: number;
  /** Gateways on this port, each a process of its own. */
  readonly gatewayProcesses: number;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  /** Each delivery that went well, or is planned again, is a line of the log at info; else at debug. */
  readonly logsDeliveries: boolean;
  /** After a signal, how long a server still takes requests while /readyz says 503, so that balancers see it first. */
  readonly stopNoticeMs: number;
  readonly dataFolder: string;
  readonly operatorKey: string | null;
  /** An endpoint that fails for so long without one success is disabled. */
  readonly disableAfterMs: number;
  readonly alertRules: AlertRules;
  /** What idempotency keys and event ids of a day may take; null: as the driver set says. */
  readonly claimBytesMax: number | null;
  readonly catalogue: CatalogueRules;
  /** Null: not set at all, which `dev` reads as "loopback". */
  readonly allowCidrs: readonly Cidr[] | null;
  /** 32 bytes, or null when the driver set is to make its own. */
  readonly masterKey: Uint8Array | null;
  /** While keys are changed: the one before, and the one to come. They open and do not seal. */
  readonly masterKeyPrevious: Uint8Array | null;
  readonly masterKeyNext: Uint8Array | null;
  /** Null: the runtime's own where it has one. */
  readonly httpClient: HttpClientChoice | null;
  /** `address` or `address:port` of each, in the form that c-ares reads; null: those of the operating system. */
  readonly nameServers: readonly string[] | null;
  /** Of this program in its telemetry, as far as they are set. */
  readonly resourceAttributes: ResourceAttributes;
  /** Where telemetry is exported to. */
  readonly otlp: OtlpConfig;
}

/** What delivers: sockets of our own with the runtime's parser, on Bun alone, or npm undici. */
export type HttpClientChoice = "runtime" | "undici";

export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** An address or a name; what a socket would ask a name server for in vain is named here. */
const Host = v.pipe(
  v.string(),
  v.regex(
    /^(?!.{256})(?:[A-Za-z0-9._-]+|[0-9A-Fa-f]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*(?:%[\w.-]+)?)$/,
    "must be an address or a name alone, such as 127.0.0.1, :: or localhost: no scheme, port, brackets or spaces",
  ),
  v.check(isWhole, "must be an address in full, such as 127.0.0.1: a number is taken for one, and 0 for every address"),
);

/** What ends in a number is an address to the system, however short: `0` listens everywhere (inet_aton(3)). */
function isWhole(host: string): boolean {
  return host.includes(":") || !/(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/i.test(host) || parseAddress(host) !== null;
}

/** What is wrong with it as an address to listen on, in words that follow the setting's name; null for a good one. */
export function hostFault(host: string): string | null {
  const parsed = v.safeParse(Host, host);
  return parsed.success ? null : parsed.issues[0].message;
}

const Port = v.pipe(
  v.string(),
  v.regex(/^\d{1,5}$/, "must be a port number from 0 to 65535"),
  v.transform(Number),
  v.maxValue(65_535, "must be a port number from 0 to 65535"),
);

const GATEWAY_PROCESSES_MAX = 64;
const GATEWAY_PROCESSES = `must be a whole number from 1 to ${GATEWAY_PROCESSES_MAX}`;
export const GatewayProcesses = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d?$/, GATEWAY_PROCESSES),
  v.transform(Number),
  v.maxValue(GATEWAY_PROCESSES_MAX, GATEWAY_PROCESSES),
);

/** With what follows it, a stop stays below the 30 s that service managers give. */
const STOP_NOTICE_S_MAX = 15;
const StopNotice = v.pipe(
  v.string(),
  v.regex(/^\d{1,2}$/, `must be a whole number of seconds from 0 to ${STOP_NOTICE_S_MAX}`),
  v.transform(Number),
  v.maxValue(STOP_NOTICE_S_MAX, `must be a whole number of seconds from 0 to ${STOP_NOTICE_S_MAX}`),
);

const DISABLE_AFTER_S_MAX = 366 * 24 * 3600;
const DISABLE_AFTER_S = `must be a whole number of seconds from 1 to ${DISABLE_AFTER_S_MAX}`;
const DisableAfter = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,7}$/, DISABLE_AFTER_S),
  v.transform(Number),
  v.maxValue(DISABLE_AFTER_S_MAX, DISABLE_AFTER_S),
);

const IDEMPOTENCY_GIB_MAX = 1000;
const IdempotencyGib = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,3}$/, `must be a whole number of GiB from 1 to ${IDEMPOTENCY_GIB_MAX}`),
  v.transform(Number),
  v.maxValue(IDEMPOTENCY_GIB_MAX, `must be a whole number of GiB from 1 to ${IDEMPOTENCY_GIB_MAX}`),
);

const OperatorKey = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]{24,128}$/, "must be 24 to 128 characters of A-Z a-z 0-9 _ -"),
);

const MasterKey = v.pipe(
  v.string(),
  v.check(
    (text) => decodeBase64(text)?.length === 32,
    "must be 32 bytes in base64; `openssl rand -base64 32` makes one",
  ),
  v.transform((text) => decodeBase64(text)),
);

/** What a shell would have replaced is never part of a folder's name: it came from a file that no shell reads. */
const DataFolder = v.pipe(
  v.string(),
  v.minLength(1, "must name a folder"),
  v.check(
    (path) => !/^~|\$[A-Za-z_{(]|%\w+%/.test(path),
    "must be a path as it is: only a shell replaces ~ and variables in it, so write /home/you/posthaste in full",
  ),
  v.check((path) => !/^["']|["']$/.test(path), "must be a path without quotes around it"),
  v.check((path) => path.trim() === path, "must be a path without spaces around it"),
);

const AllowCidrs = v.pipe(
  v.string(),
  v.check(
    (text) => isCidrList(text),
    "must be a comma-separated list of networks such as 10.0.0.0/8,fd00::/8, or empty",
  ),
  v.transform((text) => parseCidrs(text)),
);

const NAME_SERVERS_MAX = 8;
const NAME_SERVERS = `must be 1 to ${NAME_SERVERS_MAX} addresses of name servers, such as 10.0.0.2,[fd00::53]:5353`;
const NameServers = v.pipe(
  v.string(),
  v.transform((text) => text.split(",").map((server) => server.trim())),
  v.check((servers) => servers.length <= NAME_SERVERS_MAX && servers.every(isNameServer), NAME_SERVERS),
);

/** An address, with a port behind a colon if it is not 53; IPv6 with a port stands in brackets. */
function isNameServer(text: string): boolean {
  if (parseAddress(text) !== null) return true;
  const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([\d.]+)):(\d{1,5})$/.exec(text) ?? [];
  return parseAddress(v6 ?? v4 ?? "") !== null && Number(port) >= 1 && Number(port) <= 65_535;
}

function isCidrList(text: string): boolean {
  try {
    parseCidrs(text);
    return true;
  } catch {
    return false;
  }
}

const Settings = v.object({
  HOST: v.optional(Host, "127.0.0.1"),
  PORT: v.optional(Port, "8080"),
  PROCESSOR_PORT: v.optional(Port, "0"),
  GATEWAY_PROCESSES: v.optional(GatewayProcesses, "1"),
  LOG_LEVEL: v.optional(v.picklist(["debug", "info", "warn", "error"], "must be debug, info, warn or error"), "info"),
  LOG_DELIVERIES: v.optional(v.picklist(["true", "false"], "must be true or false"), "true"),
  STOP_NOTICE_S: v.optional(StopNotice, "3"),
  ENDPOINT_DISABLE_AFTER_S: v.optional(DisableAfter, String(DISABLE_AFTER_MS / 1000)),
  ALERT_RULES: v.optional(AlertFigures, "{}"),
  IDEMPOTENCY_GIB: v.optional(IdempotencyGib),
  EVENT_TYPES: v.optional(TakenTypes, "any"),
  EVENT_TYPES_DOCS: v.optional(ShownTypes, "shown"),
  POSTHASTE_DATA: v.optional(DataFolder, "./.posthaste"),
  POSTHASTE_OPERATOR_KEY: v.optional(OperatorKey),
  POSTHASTE_ALLOW_CIDRS: v.optional(AllowCidrs),
  POSTHASTE_MASTER_KEY: v.optional(MasterKey),
  POSTHASTE_MASTER_KEY_PREVIOUS: v.optional(MasterKey),
  POSTHASTE_MASTER_KEY_NEXT: v.optional(MasterKey),
  POSTHASTE_HTTP_CLIENT: v.optional(v.picklist(["runtime", "undici"], "must be runtime or undici, or left out")),
  POSTHASTE_NAME_SERVERS: v.optional(NameServers),
});

/** Throws `ConfigError` with one line per wrong variable. */
export function parseConfig(environment: Environment): Config {
  const parsed = v.safeParse(Settings, environment);
  const { otlp, problems } = parseOtlp(environment);
  if (!parsed.success || problems.length > 0) {
    const issues = (parsed.issues ?? []).map((issue) => `${v.getDotPath(issue) ?? "environment"} ${issue.message}`);
    throw new ConfigError([...issues, ...problems]);
  }
  const settings = parsed.output;
  return {
    host: settings.HOST,
    port: settings.PORT,
    processorPort: settings.PROCESSOR_PORT,
    gatewayProcesses: settings.GATEWAY_PROCESSES,
    logLevel: settings.LOG_LEVEL,
    logsDeliveries: settings.LOG_DELIVERIES === "true",
    stopNoticeMs: settings.STOP_NOTICE_S * 1000,
    disableAfterMs: settings.ENDPOINT_DISABLE_AFTER_S * 1000,
    alertRules: settings.ALERT_RULES,
    claimBytesMax: settings.IDEMPOTENCY_GIB === undefined ? null : settings.IDEMPOTENCY_GIB * 1024 ** 3,
    catalogue: { taken: settings.EVENT_TYPES, isShown: settings.EVENT_TYPES_DOCS === "shown" },
    dataFolder: settings.POSTHASTE_DATA,
    operatorKey: settings.POSTHASTE_OPERATOR_KEY ?? null,
    allowCidrs: settings.POSTHASTE_ALLOW_CIDRS ?? null,
    masterKey: settings.POSTHASTE_MASTER_KEY ?? null,
    masterKeyPrevious: settings.POSTHASTE_MASTER_KEY_PREVIOUS ?? null,
    masterKeyNext: settings.POSTHASTE_MASTER_KEY_NEXT ?? null,
    httpClient: settings.POSTHASTE_HTTP_CLIENT ?? null,
    nameServers: settings.POSTHASTE_NAME_SERVERS ?? null,
    resourceAttributes: resourceAttributesOf(environment),
    otlp,
  };
}
