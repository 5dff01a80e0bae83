/** Which form a request's body has, by its Content-Type (RFC 9110 section 8.3; CloudEvents HTTP binding section 3). */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";

export type BodyForm = "json" | "cloudevent";

const JSON_TYPE = "application/json";
const CLOUD_EVENT_TYPE = "application/cloudevents+json";
const utf8Charset = /^\s*charset\s*=\s*"?utf-8"?\s*$/i;

/** Throws `unsupported-media-type`. The only parameter that is allowed is `charset=utf-8`. */
export function bodyFormOf(request: Request, takesCloudEvents: boolean): BodyForm {
  const value = request.headers.get("content-type");
  if (value === JSON_TYPE) return "json";
  const [media = "", ...parameters] = (value ?? "").split(";");
  const type = media.trim().toLowerCase();
  if (parameters.every((parameter) => utf8Charset.test(parameter))) {
    if (type === JSON_TYPE) return "json";
    if (takesCloudEvents && type === CLOUD_EVENT_TYPE) return "cloudevent";
  }
  throw new PosthasteError("unsupported-media-type", refusal(type, takesCloudEvents));
}

function refusal(type: string, takesCloudEvents: boolean): string {
  if (type.startsWith("application/cloudevents-batch")) {
    return "CloudEvents batches are not taken; POST each event, or use /v1/events/batch with application/json.";
  }
  const accepted = takesCloudEvents ? `${JSON_TYPE} or ${CLOUD_EVENT_TYPE}` : JSON_TYPE;
  return `Send ${accepted}, in UTF-8.`;
}
