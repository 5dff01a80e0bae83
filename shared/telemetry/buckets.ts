/** Bucket bounds in seconds: what the HTTP conventions advise, and 15, 60 and 3,600 for deliveries that had to wait. */
export const DURATION_BUCKETS_S = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 15, 60, 3600,
];
