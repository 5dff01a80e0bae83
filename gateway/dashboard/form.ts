/** The fields of a form, as browsers send them (`application/x-www-form-urlencoded`), bounded as every body is. */
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import type { MatchedRequest } from "../request/handle.ts";
import type { Admission } from "../request/admission.ts";
import type { Holder } from "../request/shares.ts";
import { framedLength, MANAGEMENT_BYTES_MAX, readText } from "../request/body.ts";
import { readInTime } from "../request/context.ts";

export type Form = ReadonlyMap<string, readonly string[]>;

/** Most bytes of a form that comes without a session. */
const SIGN_IN_BYTES_MAX = 4096;
const FIELDS_MAX = 500;
const FORM_TYPE = "application/x-www-form-urlencoded";

export const NO_FORM: Form = new Map();

/** Those of whom nobody knows yet who they are, all together: whoever they are, they leave most of what there is to others. */
const STRANGERS: Holder = { id: "strangers", tenant: null };

/** `holder` null: nobody knows yet whose it is. */
export async function readForm(
  { request, context }: MatchedRequest,
  admission: Admission,
  holder: Holder | null,
): Promise<Form> {
  if (request.headers.get("content-type")?.split(";", 1)[0]?.trim() !== FORM_TYPE) {
    throw new PosthasteError("unsupported-media-type", `Send the form as ${FORM_TYPE}.`);
  }
  const bytesMax = holder === null ? SIGN_IN_BYTES_MAX : MANAGEMENT_BYTES_MAX;
  const length = framedLength(request, bytesMax);
  const arrival = admission.arrive(context, holder ?? STRANGERS, length);
  try {
    const { grow: onBytes } = arrival;
    return parseForm(await readInTime(context, (onTimeout) => readText({ request, bytesMax, onBytes, onTimeout })));
  } finally {
    arrival.end();
  }
}

function parseForm(text: string): Form {
  const form = new Map<string, string[]>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(text)) {
    if (count++ === FIELDS_MAX) throw new PosthasteError("body-too-large", `A form has at most ${FIELDS_MAX} fields.`);
    form.set(name, [...(form.get(name) ?? []), value]);
  }
  return form;
}

export function fieldOf(form: Form, name: string): string {
  return form.get(name)?.[0]?.trim() ?? "";
}
