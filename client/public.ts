/** All that the package offers. */
export type { ApiKey, CreatedApiKey, KeyRateLimit, NewApiKey, Scope } from "./api-key-shapes.ts";
export type { ApiKeys } from "./api-keys.ts";
export { createClient, rowsOf } from "./client.ts";
export type { Client, ClientOptions } from "./client.ts";
export type { DeadLetter, DeadLetterFilter, DeadLetterWithData, MissedState } from "./dead-letter-shapes.ts";
export type { Replayed, ReplayedMany, ReplayWish } from "./dead-letter-shapes.ts";
export type { DeadLetterQuery, DeadLetters } from "./dead-letters.ts";
export type { BatchSetting, CreatedEndpoint, Endpoint, EndpointAttempt, EndpointChanges } from "./endpoint-shapes.ts";
export type { EndpointStats, EndpointStatus } from "./endpoint-shapes.ts";
export type { NewEndpoint, RateLimit, RetryPolicy, RotatedSecret, SentTest } from "./endpoint-shapes.ts";
export type { AttemptQuery, EndpointQuery, Endpoints, RotateOptions } from "./endpoints.ts";
export type { Attempt, BatchResult, Cancelled, Decision, Delivery, DeliveryState } from "./event-shapes.ts";
export type {
  DeliveryTimes,
  EventFacts,
  EventState,
  EventStatus,
  EventText,
  HeldState,
  ListedEvent,
} from "./event-shapes.ts";
export type { NewEvent, Priority, Published, Resent, Why } from "./event-shapes.ts";
export type { BatchAnswer, EventQuery, Events, PublishAnswer, PublishOptions } from "./events.ts";
export type { ResendOptions, ShowOptions } from "./events.ts";
export type { EventType, NewEventType } from "./event-type-shapes.ts";
export type { EventTypes } from "./event-types.ts";
export { NoAnswerError, ProblemError } from "./problem.ts";
export type { FieldProblem, Problem } from "./problem.ts";
export { expressReceiver, fastifyReceiver, fetchReceiver, honoReceiver } from "./receivers.ts";
export type { ExpressRequest, ExpressResponse, FastifyReply, FastifyRequest, FastifyScope } from "./receivers.ts";
export type { HonoContext, OnWebhook, ReceiverOptions } from "./receivers.ts";
export type { CallOptions, Instant, KeyedCallOptions, Lane, Page, PageQuery, TimeQuery, Waiting } from "./shapes.ts";
export type { Clock, Surroundings } from "./surroundings.ts";
export type { AcceptedEntry, AttemptEntry, DeliveryEntry, EndEntry, OutcomeFilter } from "./tail-shapes.ts";
export type { TailEntry, TailFilter } from "./tail-shapes.ts";
export { RefusedWebhookError, verify } from "./verify.ts";
export type { HeadersLike, RefusalCode, VerifyOptions, Webhook, WebhookEvent } from "./verify.ts";
