/** Links to the portal. */
import { PortalLink } from "../../answers/portal-links.ts";
import * as examples from "../examples.ts";
import type { Operations } from "../operation.ts";

export const portalLinkOperations: Operations = {
  "POST /v1/portal-links": {
    id: "createPortalLink",
    tag: "Portal",
    summary: "Make a link to the portal",
    description:
      "For the people of one tenant, who hold no API key: its endpoints, events and dead letters as pages. Revoking the key that made it ends the link, and the sessions that it opened. It takes a key that may `manage` and `read`.",
    example: { tenant: "acme", expires_in_s: 60 },
    answers: {
      201: {
        description: "Made. It is kept nowhere.",
        schema: PortalLink,
        example: {
          url: "https://hooks.example.com/portal/sign-in#sign-in=AcHm2k…",
          tenant: "acme",
          expires_at: examples.AT,
        },
      },
    },
    problems: ["not-at-edge"],
  },
};
