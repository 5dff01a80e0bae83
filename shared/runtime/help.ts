/** Help on the terminal: the settings of every program, and what a program prints when it is asked for help. */

export const SETTINGS_HELP = `  HOST                    address to listen on (127.0.0.1)
  PORT                    port to listen on (8080; 0 takes a free one)
  LOG_LEVEL               debug, info, warn or error (info; dev: warn)
  LOG_DELIVERIES          false: deliveries that went well or are tried again are logged at debug only (true)
  ALERT_RULES             other figures for alerts, as JSON by name; see docs/operations.md
  ENDPOINT_DISABLE_AFTER_S  seconds without one success after which an endpoint is disabled (432000)
  STOP_NOTICE_S           seconds after SIGTERM in which /readyz says 503 and requests are still taken (3; dev: none)
  IDEMPOTENCY_GIB         what idempotency keys and event ids of a day may take (4; serve and dev: a tenth of the disk, 4 to 32)
  EVENT_TYPES             listed: events of types that the catalogue does not have are refused (any)
  EVENT_TYPES_DOCS        hidden: /docs and /openapi.json leave the catalogue out (shown)
  POSTHASTE_DATA          data folder (./.posthaste)
  POSTHASTE_OPERATOR_KEY  API key for everything; 24 to 128 characters of A-Z a-z 0-9 _ -
  POSTHASTE_ALLOW_CIDRS   private networks that endpoints may be in, such as 10.0.0.0/8 (none; dev: loopback)
  POSTHASTE_MASTER_KEY    32 bytes in base64 that encrypt endpoint secrets (made once in the data folder)
  POSTHASTE_MASTER_KEY_PREVIOUS  the key before this one, which only opens, until posthaste reseal is done (none)
  POSTHASTE_MASTER_KEY_NEXT      the key to come, which only opens, until every process has it (none)
  POSTHASTE_HTTP_CLIENT   what delivers: runtime (on Bun alone) or undici (the runtime's own where there is one)
  POSTHASTE_NAME_SERVERS  who is asked for endpoints' names, such as 10.0.0.2,[fd00::53]:5353 (those of the system)
  PORTAL_URL              origin that browsers reach the portal by, such as https://hooks.example.com (that of the request)
  PORTAL_ORIGINS          whose pages may have the portal in a frame, such as https://app.example.com,https://b.example (none)
  PORTAL_NAME             name at the head of the portal's pages (Webhooks), with PORTAL_COLOUR, such as #1d5fd1, and
                          PORTAL_LOGO, a PNG, JPEG or WebP file of at most 128 KiB
`;

export const DISTRIBUTED_HELP = `Settings of gateway and processor, the same for all of them:

  REDIS_URL               redis://, rediss://, redis+sentinel://host:port,host:port/name or redis+cluster://... (needed)
  REDIS_CACHE_URL         a Redis that may evict: rate limits and stats (REDIS_URL)
  REDIS_SHARDS            groups of keys, fixed for a deployment (1; 16 on a cluster)
  REDIS_PREFIX            before all keys (none)
  REDIS_SPOOL_MIB         of Redis' memory for what waits there while Kafka is away (512)
  KAFKA_BROKERS           host:port,host:port (needed)
  KAFKA_TLS               true: TLS with the system's authorities (false)
  KAFKA_SASL_MECHANISM    plain, scram-sha-256 or scram-sha-512, with KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD (none)
  KAFKA_PREFIX            before all topics and groups (posthaste.)
  KAFKA_PARTITIONS        of each topic that is made (6)
  KAFKA_REPLICATION       of each topic that is made (1), and KAFKA_MIN_ISR (replication less one)
  KAFKA_RETENTION_DAYS    of each topic that is made, at least 8 (8)
  GATEWAY_PROCESSES       gateways on PORT, each a process of its own; Bun and Node (1)
  GATEWAY_COUNT           gateway processes in all, and PROCESSOR_COUNT: shares of rate limits while Redis is away (GATEWAY_PROCESSES; 1)
  PROCESSOR_PORT          /livez, /readyz and /metrics of a processor (a free one)
  POSTHASTE_MASTER_KEY    needed, and the same for all
`;

/** Is the program asked for help, and nothing else? */
export function isHelpAsked(words: readonly string[]): boolean {
  return words.includes("--help") || words.includes("-h");
}

/** Of `gateway` and `processor`, which take no words. */
export function distributedUsage(name: string, what: string): string {
  return `Usage: npm run ${name}\n\n${what}\n\nSettings are environment variables:\n\n${SETTINGS_HELP}\n${DISTRIBUTED_HELP}`;
}
