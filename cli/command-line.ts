/** The words after `posthaste`, parsed once; what is not understood is named, with the usage that helps. */
import { parseArgs } from "node:util";
import { hostFault } from "@posthaste/shared/domain/config.ts";
import { parseSecret } from "@posthaste/shared/domain/signature.ts";
import { DISTRIBUTED_HELP, SETTINGS_HELP, isHelpAsked } from "@posthaste/shared/runtime/help.ts";

export type Command =
  | { readonly kind: "dev" | "serve" | "help" | "version" }
  | { readonly kind: "backup"; readonly file: string; readonly isForced: boolean }
  | { readonly kind: "reseal"; readonly isDryRun: boolean }
  | { readonly kind: "demo"; readonly isDistributed: boolean }
  | ReceiverCommand
  | { readonly kind: "wrong"; readonly message: string };

export interface ReceiverCommand {
  readonly kind: "receiver";
  readonly secrets: readonly string[];
  readonly host: string;
  readonly port: number;
  /** Null: its endpoint was made by somebody else. */
  readonly register: { readonly gateway: string; readonly ownUrl: string } | null;
}

export const RECEIVER_PORT = 8081;

export const USAGE = `Usage: posthaste <command>

  dev        everything in one process, deliveries to this machine allowed, with a local receiver (= npm start)
  serve      everything in one process, with production defaults
  demo       send real webhook payloads through the whole system and check every delivery
             (--distributed: through two gateways and two processors on Redis and Kafka)
  backup     copy the database to a file, of a running process or of a stopped one: backup FILE
             (--force: replace the file; the master key is kept apart)
  reseal     seal endpoint secrets with a new master key: on Redis while all goes on, or in the folder of a stopped process
             (--dry-run: only count)
  receiver   listen for deliveries and verify them: --secret whsec_... (may be repeated), --port ${RECEIVER_PORT}, --host 127.0.0.1;
             or --register GATEWAY --own-url URL: make its endpoint, with the key in POSTHASTE_OPERATOR_KEY
  help       this text
  --version  the version

Settings are environment variables:

${SETTINGS_HELP}
${DISTRIBUTED_HELP}`;

export function parseCommandLine(words: readonly string[]): Command {
  const [name, ...rest] = words;
  if (isHelpAsked(words)) return { kind: "help" };
  switch (name) {
    case undefined:
      return { kind: "help" };
    case "--version":
    case "-v":
    case "version":
      return alone("version", rest);
    case "dev":
    case "serve":
    case "help":
      return alone(name, rest);
    case "backup":
      return parseBackup(rest);
    case "reseal":
      return parseReseal(rest);
    case "demo":
      return parseDemo(rest);
    case "receiver":
      return parseReceiver(rest);
    default:
      return wrong(name.startsWith("-") ? `there is no option ${name}` : `there is no command ${name}`);
  }
}

function alone(kind: "dev" | "serve" | "help" | "version", rest: readonly string[]): Command {
  const [extra] = rest;
  return extra === undefined ? { kind } : wrong(`${kind} does not take ${extra}; settings are environment variables`);
}

function parseDemo(rest: readonly string[]): Command {
  const extra = rest.find((word) => word !== "--distributed");
  return extra === undefined
    ? { kind: "demo", isDistributed: rest.length > 0 }
    : wrong(`demo does not take ${extra}; there is --distributed`);
}

function parseReseal(rest: readonly string[]): Command {
  const extra = rest.find((word) => word !== "--dry-run");
  return extra === undefined
    ? { kind: "reseal", isDryRun: rest.length > 0 }
    : wrong(`reseal does not take ${extra}; there is --dry-run`);
}

function parseBackup(rest: readonly string[]): Command {
  const files = rest.filter((word) => word !== "--force");
  const unknown = files.find((word) => word.startsWith("-"));
  if (unknown !== undefined) return wrong(`backup does not take ${unknown}; there is --force`);
  const [file, extra] = files;
  if (file === undefined || file === "")
    return wrong("backup needs the file to write, such as backup /backups/posthaste.db");
  if (extra !== undefined) return wrong(`backup takes one file, and not ${extra} too`);
  return { kind: "backup", file, isForced: files.length < rest.length };
}

function parseReceiver(rest: readonly string[]): Command {
  const parsed = readOptions(rest);
  if (typeof parsed === "string") return wrong(parsed);
  const { secret: secrets = [], port: portText = String(RECEIVER_PORT), host = "127.0.0.1" } = parsed;
  const { register: gateway, "own-url": ownUrl } = parsed;
  const isRegistered = gateway !== undefined || ownUrl !== undefined;
  if (secrets.length === 0 && !isRegistered)
    return wrong("receiver needs --secret whsec_..., as the endpoint's creation showed it");
  for (const secret of secrets) {
    const read = parseSecret(secret);
    if (read.kind === "invalid") return wrong(`--secret is not usable: ${read.reason}`);
  }
  const port = Number(portText);
  if (!/^\d{1,5}$/.test(portText) || port > 65_535) return wrong("--port must be a number from 0 to 65535");
  const fault = hostFault(host);
  if (fault !== null) return wrong(`--host ${fault}`);
  if (!isRegistered) return { kind: "receiver", secrets, host, port, register: null };
  if (!isHttpUrl(gateway)) return wrong("--register must be the URL of a gateway, such as http://127.0.0.1:8080");
  if (!isHttpUrl(ownUrl))
    return wrong("--own-url must be the URL at which the receiver is reached, such as http://demo:8090/");
  return { kind: "receiver", secrets, host, port, register: { gateway, ownUrl: new URL(ownUrl).href } };
}

function isHttpUrl(text: string | undefined): text is string {
  return text !== undefined && /^https?:$/.test(URL.parse(text)?.protocol ?? "");
}

const RECEIVER_OPTIONS = {
  secret: { type: "string", multiple: true },
  port: { type: "string" },
  host: { type: "string" },
  register: { type: "string" },
  "own-url": { type: "string" },
} as const;

/** A sentence when an option is unknown or lacks its value. */
function readOptions(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: RECEIVER_OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    return `receiver: ${error instanceof Error ? (error.message.split(". ")[0] ?? "") : "options not understood"}`;
  }
}

function wrong(message: string): Command {
  return { kind: "wrong", message };
}
