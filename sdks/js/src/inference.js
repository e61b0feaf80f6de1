/** `client.inference`: ask one question or many, whole or as it is written, and look up what was asked. */
import { collectResults, streamResults } from './batch.js';
import { checked, invalid, picked, query, segment } from './calls.js';
import { asInference, asRecord } from './content.js';
import { Stream } from './stream.js';

// Between two results of a batch; Node's fetch itself gives up after as long.
const BATCH_PATIENCE = 300_000;

export class Inference {
  #transport;

  constructor(transport) {
    this.#transport = transport;
  }

  /** One answer. Its idempotency key is the same in all attempts, so that a lost reply is not paid twice. */
  async create(body, { idempotencyKey = uniqueKey(), ...options } = {}) {
    if (!/^[\x21-\x7e]{1,128}$/.test(idempotencyKey)) {
      throw invalid('idempotencyKey', 'is 1 to 128 printable ASCII characters');
    }
    const headers = { 'Idempotency-Key': idempotencyKey };
    const call = { method: 'POST', path: '/v1/inference', body: checked(body, 'body'), headers };
    return asInference(await this.#transport.json({ ...call, ...picked(options) }));
  }

  /** An answer as it is written; resolves when the server has accepted the request. */
  async stream(body, options) {
    const call = { method: 'POST', path: '/v1/inference/stream', body: checked(body, 'body'),
      accept: 'text/event-stream' };
    return new Stream(await this.#transport.open({ ...call, ...picked(options) }));
  }

  /** Many answers, in order. A request that failed is a result with `error`; the others are not lost. */
  async batch(requests, options) {
    return collectResults(this.batchStream(requests, options), requests.length);
  }

  /** Many answers, each as soon as it is there. */
  batchStream(requests, { parallel, fallbackStrategy, ...options } = {}) {
    if (!Array.isArray(requests)) throw invalid('requests', 'is an array of request bodies');
    const body = { requests, parallel, fallback_strategy: fallbackStrategy };
    // Its lost reply may have been paid, so only a batch that was surely not asked is sent again.
    const call = { method: 'POST', path: '/v1/inference/batch', body, repeatable: false,
      accept: 'application/x-ndjson', patience: BATCH_PATIENCE };
    return streamResults(() => this.#transport.open({ ...call, ...picked(options) }));
  }

  /** The record of an earlier inference, or of one in the background. */
  async get(id, options) {
    const path = `/v1/inference/${segment(id)}`;
    return asRecord(await this.#transport.json({ method: 'GET', path, ...picked(options) }));
  }

  /** Usage: requests, tokens, cost, latency. */
  analytics(options) {
    return this.#report('analytics', options);
  }

  /** The same figures, for one model or provider. */
  performance(options) {
    return this.#report('performance', options);
  }

  #report(name, { model, provider, timeframe, metrics, groupBy, ...options } = {}) {
    const path = `/v1/inference/${name}${query({ model, provider, timeframe, metrics, group_by: groupBy })}`;
    return this.#transport.json({ method: 'GET', path, ...picked(options) });
  }

  /** Set this key's defaults: {primary, fallback, cost_optimization, latency_optimization, quality_threshold}. */
  async configureProviders(preferences, options) {
    const body = checked(preferences, 'preferences');
    return this.#transport.json({ method: 'PUT', path: '/v1/inference/providers', body, ...picked(options) });
  }
}

/** Browsers have randomUUID only on https and localhost; a share server is often neither. */
function uniqueKey() {
  return crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join('-');
}
