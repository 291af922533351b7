// Bounds of the histograms' buckets, in seconds.
//
// A bucket is a series for each model and version, so there are as many as answers need and no more: 50 models of three
// versions have to fit into a scrape of 2 MB. Users feel differences under 300 ms, so that is where the buckets are.

export const FIRST_TOKEN_BUCKETS = [
  0.01, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1, 2, 5, 15,
]

/** between two tokens: from a small model alone to a large one that is crowded */
export const PACE_BUCKETS = [0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5]

/** of queue and prefill, which are looked at to explain a time to first token and not to judge by */
export const PHASE_BUCKETS = [0.01, 0.03, 0.1, 0.3, 1, 5]

/** answers take seconds to be written */
export const DECODE_BUCKETS = [0.1, 0.3, 1, 3, 10, 30]

export const DURATION_BUCKETS = [0.1, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300]

/** of what this process itself does to a request */
export const OVERHEAD_BUCKETS = [
  0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3,
]

/** From what an upstream next door takes to what a reasoning model does. */
export const FIRST_DELTA_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 20, 60,
]
