/** The answer to who asks for a link to the portal. */
import * as v from "valibot";
import { Time } from "./parts.ts";

export const PortalLink = v.object({
  url: v.pipe(
    v.string(),
    v.description(
      "For the browser of one person of the tenant, as an address or as that of a frame. Whoever has it is in.",
    ),
  ),
  tenant: v.string(),
  expires_at: v.pipe(Time, v.description("Of the link: it is to be followed until then.")),
});
export type PortalLink = v.InferOutput<typeof PortalLink>;
