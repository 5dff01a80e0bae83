/** What `dev` shows at its start: where things are, and two commands that work when pasted as they are. */
import { styleText } from "node:util";
import { BEHAVIOUR_PATHS } from "./receiver-behaviour.ts";

export interface StartFacts {
  readonly version: string;
  readonly url: string;
  readonly receiverUrl: string;
  /** Why the receiver is not at its usual port; null when it is. */
  readonly receiverMoved: string | null;
  readonly operatorKey: string;
  /** Signs in. */
  readonly dashboardUrl: string;
  readonly dataFolder: string;
}

/** Before each attempt: the default's three days would show nothing of a retry to who watches. */
const SHORT_RETRY_S = [0, 1, 2, 5, 10] as const;

export function startScreen(facts: StartFacts): string {
  const endpoint = curl(facts, "/v1/endpoints", { url: `${facts.receiverUrl}/`, retry: { delays_s: SHORT_RETRY_S } });
  const event = curl(facts, "/v1/events", { type: "invoice.paid", data: { invoice: "in_1001", amount: 12.5 } });
  return `
  ${styleText("bold", "Posthaste")} ${styleText("dim", facts.version)}

  API        ${styleText("cyan", facts.url)}
  API key    ${facts.operatorKey}
  Dashboard  ${styleText("cyan", facts.dashboardUrl)}
             ${styleText("dim", "signs in once, within the hour; later with the API key")}
  Receiver   ${styleText("cyan", facts.receiverUrl)}${facts.receiverMoved === null ? "" : `\n             ${styleText("yellow", facts.receiverMoved)}`}
  Data       ${facts.dataFolder}

  ${styleText("bold", "1.")} Create an endpoint at the local receiver:

${endpoint}

  ${styleText("bold", "2.")} Publish an event, and watch it arrive below:

${event}

  ${styleText("dim", `Paths of the receiver that fail, for the URL in 1.: ${BEHAVIOUR_PATHS}`)}
  ${styleText("dim", `This endpoint is retried after ${SHORT_RETRY_S.slice(1).join(", ")} s. Without "retry" it gets ten attempts over three days.`)}
  ${styleText("dim", "Ctrl-C stops; everything accepted is kept for the next start.")}

`;
}

/** One line for any POSIX shell. Neither keys nor these bodies hold a single quote. */
function curl({ url, operatorKey }: StartFacts, path: string, body: unknown): string {
  const json = JSON.stringify(body);
  return `curl -sS -w '\\n' ${url}${path} -H 'authorization: Bearer ${operatorKey}' -H 'content-type: application/json' -d '${json}'`;
}
