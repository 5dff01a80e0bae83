/** Types of the catalogue as they are written and shown. */

export interface NewEventType {
  readonly description?: string | null | undefined;
  /** JSON Schema 2020-12 that the data of such an event must fit. */
  readonly schema?: object | null | undefined;
  /** Data of such an event; must fit the schema. */
  readonly example?: unknown;
  readonly deprecated?: boolean | undefined;
}

export interface EventType {
  readonly name: string;
  readonly description: string | null;
  readonly schema: object | null;
  /** Left out when there is none. */
  readonly example?: unknown;
  readonly deprecated: boolean;
  readonly created_at: string;
  readonly updated_at: string;
}
