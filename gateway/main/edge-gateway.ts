/**
 * The gateway where one request must not wait for another and nothing runs between them: each has a gateway and drivers of its
 * own. What they share is settings, values that were seen, and a count.
 */
import { ConfigError } from "@posthaste/shared/domain/config.ts";
import type { Environment } from "@posthaste/shared/domain/config.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { problemHeaders, problemOf } from "@posthaste/shared/domain/problem.ts";
import { textResponse, webResponse } from "@posthaste/shared/ports/text-response.ts";
import type { EdgeProgram } from "@posthaste/shared/runtime/edge-program.ts";
import { createEdgeProgram } from "@posthaste/shared/runtime/edge-program.ts";
import { createGateway } from "../app.ts";
import { DEFAULT_LIMITS } from "../request/deps.ts";
import { UnderWay } from "../request/under-way.ts";

/** `keep` lets work go on for a while after the answer; what a 202 promises is done before it. Never rejects. */
export type EdgeFetch = (
  request: Request,
  environment: Environment,
  keep: (work: Promise<unknown>) => void,
) => Promise<Response>;

export function createEdgeGateway(): EdgeFetch {
  const underWay = new UnderWay();
  let program: EdgeProgram | null = null;
  return async (request, environment, keep) => {
    let leave: (() => void) | null = null;
    try {
      program ??= createEdgeProgram(environment);
      leave = underWay.enter(request, program.clock.monotonic());
      const drivers = program.createDrivers();
      const gateway = createGateway({ ...program, drivers, limits: DEFAULT_LIMITS, isForOneRequest: true });
      const response = webResponse(await gateway.fetch(request));
      keep(drivers.flush());
      return response;
    } catch (thrown) {
      return refusal(thrown);
    } finally {
      leave?.();
    }
  };
}

/** What is wrong with the settings is for the log alone: it may hold what nobody else should read. */
function refusal(thrown: unknown): Response {
  const error = thrown instanceof PosthasteError ? thrown : notReady(thrown);
  return webResponse(
    textResponse({
      status: problemOf(error).status,
      headers: problemHeaders(error),
      text: JSON.stringify(problemOf(error)),
    }),
  );
}

function notReady(thrown: unknown): PosthasteError {
  const problems = thrown instanceof ConfigError ? thrown.problems : [String(thrown)];
  for (const problem of problems)
    console.error(JSON.stringify({ level: "error", event: "gateway.not_ready", problem }));
  return new PosthasteError("store-unavailable", { detail: NOT_READY, retryAfterS: 60 });
}

const NOT_READY = "This gateway cannot begin with its settings; its log names what is wrong.";
