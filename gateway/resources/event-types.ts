/** `/v1/event-types`, the catalogue: one for all tenants. Any key that may read reads it; operator keys alone change it. */
import * as v from "valibot";
import type { CatalogueType } from "@posthaste/shared/domain/event-types.ts";
import { cataloguePage, NewCatalogueType, typeFaults } from "@posthaste/shared/domain/event-types.ts";
import { PosthasteError } from "@posthaste/shared/domain/errors.ts";
import { PublishedType } from "@posthaste/shared/domain/event.ts";
import type { EventTypeView } from "../answers/event-types.ts";
import type { GatewayDeps } from "../request/deps.ts";
import type { AdmittedRequest, BodyRule, Route } from "../request/handle.ts";
import { MANAGEMENT_BYTES_MAX } from "../request/body.ts";
import { requireInTime } from "../request/context.ts";
import { readPage } from "../request/cursors.ts";
import { answerEmpty, answerJson, bodyJson } from "../request/handle.ts";
import { paged } from "../request/query.ts";
import { failed, pointerTo, validate } from "../request/validation.ts";
import { instantText, listView } from "./view-parts.ts";

const ALL = "/v1/event-types";
const body: BodyRule = {
  schema: NewCatalogueType,
  bytesMax: MANAGEMENT_BYTES_MAX,
  isOptional: false,
  takesCloudEvents: false,
};

export function eventTypeRoutes(deps: GatewayDeps): readonly Route[] {
  const one = { path: `${ALL}/:name`, query: {}, body: null };
  const read = { method: "GET", scope: "read" } as const;
  return [
    { ...read, path: ALL, query: paged, body: null, handle: (admitted) => list(deps, admitted) },
    { ...one, ...read, handle: (admitted) => show(deps, admitted) },
    { ...one, method: "PUT", scope: "manage", body, handle: (admitted) => put(deps, admitted) },
    { ...one, method: "DELETE", scope: "manage", handle: (admitted) => remove(deps, admitted) },
  ];
}

async function list(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const catalogue = await deps.drivers.eventTypes.read();
  const page = await readPage(deps, admitted, { tenant: null }, (limit, cursor) =>
    Promise.resolve(cataloguePage(catalogue, limit, cursor)),
  );
  return answerJson(admitted, 200, listView(page, eventTypeView));
}

async function show(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  const { types } = await deps.drivers.eventTypes.read();
  const found = types.get(admitted.param("name"));
  if (found === undefined) throw notListed();
  return answerJson(admitted, 200, eventTypeView(found));
}

/** The same request again has the same effect; a type that is there is replaced as a whole and keeps the time of its creation. */
async function put(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  requireOperator(admitted);
  const name = v.safeParse(PublishedType, admitted.param("name"));
  if (!name.success) throw badName(name.issues[0].message);
  const wish = validate(NewCatalogueType, bodyJson(admitted));
  const faults = typeFaults(wish);
  if (faults.length > 0) throw failed(faults.map(({ path, detail }) => ({ pointer: pointerTo(path), detail })));
  const before = (await deps.drivers.eventTypes.read()).types.get(name.output);
  requireInTime(admitted.context);
  const nowMs = Math.floor(deps.clock.now());
  const type = typeOf(name.output, wish, { createdAtMs: before?.createdAtMs ?? nowMs, updatedAtMs: nowMs });
  await deps.drivers.eventTypes.put(type);
  return answerJson(admitted, before === undefined ? 201 : 200, eventTypeView(type));
}

async function remove(deps: GatewayDeps, admitted: AdmittedRequest): Promise<Response> {
  requireOperator(admitted);
  if (!(await deps.drivers.eventTypes.remove(admitted.param("name")))) throw notListed();
  return answerEmpty(admitted);
}

/** What all tenants publish and receive is no tenant's to change. */
function requireOperator({ caller }: AdmittedRequest): void {
  if (caller.tenant === null) return;
  throw new PosthasteError("wrong-tenant", "The catalogue of event types is the operator's; use an operator key.");
}

function notListed(): PosthasteError {
  return new PosthasteError("not-found", "There is no event type of this name in the catalogue.");
}

function badName(detail: string): PosthasteError {
  const errors = [{ parameter: "name", detail }];
  return new PosthasteError("validation-failed", { detail: `The name of the event type ${detail}.`, errors });
}

function typeOf(
  name: string,
  { description = null, schema, example, deprecated }: NewCatalogueType,
  times: Pick<CatalogueType, "createdAtMs" | "updatedAtMs">,
): CatalogueType {
  return {
    name,
    description,
    schemaText: schema === null ? null : JSON.stringify(schema),
    exampleText: example === undefined ? null : JSON.stringify(example),
    isDeprecated: deprecated,
    ...times,
  };
}

/** Both texts were written by us, and read back as what was sent. */
export function eventTypeView(type: CatalogueType): EventTypeView {
  const { name, description, schemaText, exampleText } = type;
  return {
    name,
    description,
    schema: schemaText === null ? null : (JSON.parse(schemaText) as unknown),
    ...(exampleText === null ? {} : { example: JSON.parse(exampleText) as unknown }),
    deprecated: type.isDeprecated,
    created_at: instantText(type.createdAtMs),
    updated_at: instantText(type.updatedAtMs),
  };
}
