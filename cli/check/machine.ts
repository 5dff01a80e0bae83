/** The machine and its process: runtime, descriptors, clock, and what listens on the port. */
import type { Config } from "@posthaste/shared/domain/config.ts";
import { INBOUND_MAX, planDescriptors, tooFewDescriptors } from "@posthaste/shared/domain/descriptor-plan.ts";
import { descriptorLimit } from "@posthaste/shared/drivers/descriptor-limit.ts";
import type { Finding } from "./finding.ts";
import { findingOf, fine, risky, wrong } from "./finding.ts";

const ATTEMPTS_MAX = 512;
const ANSWER_MS_MAX = 2000;
/** This was written later. */
const YEAR_MIN = 2026;

export function descriptorFinding(limit: number = descriptorLimit()): Finding {
  const about = "open files";
  const plan = planDescriptors(limit, { delivers: true, servesApi: true, attemptsMax: ATTEMPTS_MAX });
  if (plan === null) return findingOf("wrong", about, tooFewDescriptors(limit));
  const { inboundMax, attemptsMax } = plan;
  const text = limit === Infinity ? "have no limit" : `may be ${limit}`;
  if (inboundMax >= INBOUND_MAX && attemptsMax >= ATTEMPTS_MAX) return fine(about, text);
  return risky(
    about,
    `${text}: at most ${inboundMax} connections of callers and ${attemptsMax} attempts at once`,
    "Raise the limit to 16384: ulimit -n in a shell, LimitNOFILE= in systemd, --ulimit nofile= for a container.",
  );
}

export function clockFinding(now: Date): Finding {
  const text = `says ${now.toISOString()}`;
  if (now.getUTCFullYear() >= YEAR_MIN) return fine("clock", text);
  return wrong(
    "clock",
    text,
    "Set it by NTP: receivers refuse what was signed more than 5 minutes away from their time.",
  );
}

export function runtimeFinding(versions: Readonly<Record<string, string | undefined>>): Finding {
  const { bun, node = "" } = versions;
  return fine("runtime", bun === undefined ? `is Node ${node}` : `is Bun ${bun}`);
}

/** Is a gateway there already, and how is it? */
export async function portFinding(
  { host, port }: Config,
  fetch: (url: string, init: RequestInit) => Promise<Response>,
): Promise<Finding> {
  if (port === 0) return fine("PORT", "is a free one at each start");
  const name = /^(?:0\.0\.0\.0|::)$/.test(host) ? "127.0.0.1" : host;
  const url = `http://${name.includes(":") ? `[${name}]` : name}:${port}/readyz`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    return readinessFinding(port, (await response.json().catch(() => null)) as Readiness | null);
  } catch (error) {
    const isLate = error instanceof Error && error.name === "TimeoutError";
    if (!isLate) return fine("PORT", `nothing runs on ${port} yet`);
    return risky("PORT", `what listens on ${port} does not answer`, "Stop it, or set another PORT.");
  }
}

/** What a gateway answers: its readiness, or a problem. */
interface Readiness {
  readonly status?: unknown;
  readonly degraded?: readonly unknown[];
  readonly code?: unknown;
  readonly detail?: unknown;
}

function readinessFinding(port: number, body: Readiness | null): Finding {
  const about = "PORT";
  const remedy = "See docs/failures.md, which has a row for each failure.";
  if (typeof body?.code === "string") {
    return wrong(about, `a gateway runs on ${port} and is not ready: ${String(body.detail)}`, remedy);
  }
  if (body?.status !== "ready") {
    return risky(about, `${port} is taken by another program`, "Stop it, or set another PORT.");
  }
  const { degraded = [] } = body;
  if (degraded.length === 0) return fine(about, `a gateway runs on ${port} and is ready`);
  return risky(about, `a gateway runs on ${port} without a part: ${degraded.map(String).join(", ")}`, remedy);
}
