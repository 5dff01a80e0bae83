/** Parts of kafkajs 2.2.4 that it does not export, for `repairs.ts` and `produce-request.ts`. */
declare module "kafkajs/src/cluster/brokerPool.js" {
  const BrokerPool: { readonly prototype: unknown };
  export default BrokerPool;
}

declare module "kafkajs/src/consumer/consumerGroup.js" {
  const ConsumerGroup: { readonly prototype: unknown };
  export default ConsumerGroup;
}

declare module "kafkajs/src/network/requestQueue/index.js" {
  const RequestQueue: { readonly prototype: unknown };
  export default RequestQueue;
}

declare module "kafkajs/src/protocol/requests/index.js" {
  const definitions: { readonly requests: { readonly Produce: unknown } };
  export default definitions;
}
