import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';

import { ConnectionError, PRSM, ProviderError, RateLimitError, TimeoutError } from '@prsm/sdk';
import { retryAfter, retryDelay } from '../src/retry.js';
import { ANSWER, BODY, COMPLETED, delta, DONE, fault, json, line, ndjson, nowhere, serve, sse } from './helpers.js';

const hang = () => {};
const cut = (response) => response.socket.destroy();
const cutInside = (response) => {
  response.writeHead(200, { 'Content-Length': 100 });
  response.write('{"id":', () => response.socket.destroy());
};
const fast = (t) => t.mock.method(Math, 'random', () => 0.01);

test('faults that pass are asked again, all with the same idempotency key and body', async (t) => {
  fast(t);
  const passing = [fault(429, 'rate_limit'), fault(503, 'provider_unavailable'), fault(503, 'timeout'), fault(500, 'internal'),
    fault(409, 'conflict', {}, { 'Retry-After': '0' }), fault(502), fault(504), cut, cutInside];
  const { client, asked } = await serve(t, ...passing, json(ANSWER));
  const body = { ...BODY };
  const answer = client({ maxRetries: passing.length }).inference.create(body);
  body.model = 'changed meanwhile';
  assert.equal((await answer).content, 'Grüße');
  assert.equal(asked.length, passing.length + 1);
  assert.equal(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size, 1);
  for (const { body } of asked) assert.deepEqual(body, BODY);
});

test('two creates have two keys; a given key is used', async (t) => {
  const { client, asked } = await serve(t, json(ANSWER));
  await client().inference.create(BODY);
  await client().inference.create(BODY);
  await client().inference.create(BODY, { idempotencyKey: 'mine' });
  const keys = asked.map(({ headers }) => headers['idempotency-key']);
  assert.equal(new Set(keys).size, 3);
  assert.equal(keys[2], 'mine');
});

test('retries are counted: maxRetries more, then the last error', async (t) => {
  fast(t);
  const { client, asked } = await serve(t, fault(503, 'provider_unavailable'));
  await assert.rejects(client().inference.create(BODY), ProviderError);
  assert.equal(asked.length, 3);
  await assert.rejects(client({ maxRetries: 0 }).inference.create(BODY), ProviderError);
  assert.equal(asked.length, 4);
});

for (const [status, code, details] of [[400, 'invalid_request'], [401, 'authentication'], [402, 'insufficient_credits'],
  [404, 'not_found'], [409, 'conflict'], [501, 'internal'], [429, 'rate_limit', { kind: 'tokens' }]]) {
  test(`${status} ${code} ${details?.kind ?? ''} is not asked again`, async (t) => {
    const { client, asked } = await serve(t, fault(status, code, details, { 'X-RateLimit-Retry-After': '0' }));
    await assert.rejects(client().inference.create(BODY));
    assert.equal(asked.length, 1);
  });
}

test('Retry-After is a floor', async (t) => {
  fast(t);
  const { client, asked } = await serve(t, fault(429, 'rate_limit', { kind: 'tokens' }, { 'Retry-After': '0.3' }), json(ANSWER));
  await client().inference.create(BODY);
  assert.ok(asked[1].at - asked[0].at >= 290);
});

test('a hint beyond what is left of the timeout is told at once', async (t) => {
  const { client, asked } = await serve(t, fault(429, 'rate_limit', {}, { 'Retry-After': '45' }));
  const begun = performance.now();
  await assert.rejects(client({ timeout: 10_000 }).inference.create(BODY),
    (error) => error instanceof RateLimitError && error.retryAfter === 45);
  assert.ok(performance.now() - begun < 2000);
  assert.equal(asked.length, 1);
});

test('back-off has full jitter, doubles and ends at 8 seconds', (t) => {
  const error = new ProviderError('', { status: 503 });
  t.mock.method(Math, 'random', () => 1);
  assert.deepEqual([0, 1, 2, 3, 4, 5, 50].map((n) => retryDelay(error, n, true)), [500, 1000, 2000, 4000, 8000, 8000, 8000]);
  t.mock.method(Math, 'random', () => 0);
  assert.equal(retryDelay(error, 3, true), 0);
});

test('Retry-After as a number, a date, the server\'s own header, or nonsense', () => {
  const read = (headers) => retryAfter(new Headers(headers));
  assert.equal(read({ 'Retry-After': '1.5', 'X-RateLimit-Retry-After': '9' }), 1.5);
  assert.equal(read({ 'X-RateLimit-Retry-After': '45' }), 45);
  assert.equal(read({ 'Retry-After': 'Mon, 01 Jan 2001 00:00:00 GMT' }), 0);
  const hint = read({ 'Retry-After': new Date(Date.now() + 60_000).toUTCString() });
  assert.ok(hint > 57 && hint <= 60, `${hint}`);
  assert.equal(read({ 'Retry-After': '0' }), 0);
  assert.equal(read({ 'X-RateLimit-Retry-After': '0' }), null, 'the server sends it with every answer');
  assert.equal(read({ 'Retry-After': '99999999' }), 86_400, 'at most a day, which timers can count');
  assert.equal(read({ 'Retry-After': 'soon' }), null);
  assert.equal(read({ 'Retry-After': '1.2.3', 'X-RateLimit-Retry-After': '' }), null);
  assert.equal(read({}), null);
});

test('nobody listens: a ConnectionError that names the address, after all attempts', async (t) => {
  fast(t);
  let calls = 0;
  const counted = (...args) => {
    calls++;
    return fetch(...args);
  };
  const url = await nowhere();
  const client = new PRSM({ apiKey: 'k', baseURL: `${url}/lab`, fetch: counted });
  await assert.rejects(client.inference.create(BODY), (error) => error instanceof ConnectionError && error.status === null &&
    error.message.includes(`${url}/lab: ECONNREFUSED`));
  assert.equal(calls, 3);
});

const BATCH = ndjson([line({ index: 0, id: null, status: 'completed', inference: ANSWER }), line({ object: 'batch.done', failed: 0 })]);

for (const [name, lost] of Object.entries({ cut, cutInside, 500: fault(500, 'internal'), 502: fault(502) })) {
  test(`what may have been done already is not asked again: ${name}`, async (t) => {
    const { client, asked } = await serve(t, lost);
    await assert.rejects(client().inference.batch([BODY]));
    await assert.rejects(client().keys.create({ name: 'ana' }));
    await assert.rejects(client().keys.rotate('k1'));
    assert.equal(asked.length, 3);
  });
}

test('a batch that was never sent, or refused, is sent again', async (t) => {
  fast(t);
  const { client, asked, url } = await serve(t, fault(503, 'provider_unavailable'), BATCH);
  const dead = await nowhere();
  let calls = 0;
  const first = (address, request) => fetch(calls++ ? address : address.replace(url, dead), request);
  assert.equal((await client({ fetch: first }).inference.batch([BODY]))[0].content, 'Grüße');
  assert.deepEqual([calls, asked.length], [3, 2]);
});

test('the timeout covers the whole call: waiting for the head, for the body, and all attempts', async (t) => {
  const slowBody = (response) => response.writeHead(200).write('{');
  for (const slow of [hang, slowBody]) {
    const { client, asked } = await serve(t, slow);
    await assert.rejects(client({ timeout: 150 }).inference.create(BODY),
      (error) => error instanceof TimeoutError && error.code === 'timeout' && error.status === null && /150 ms/.test(error.message));
    assert.equal(asked.length, 1);
    await asked[0].closed;
  }
  fast(t);
  const { client, asked } = await serve(t, fault(503, 'timeout', {}, { 'Retry-After': '0.3' }), hang);
  const begun = performance.now();
  await assert.rejects(client().inference.create(BODY, { timeout: 450 }), (error) => error.status === null);
  assert.ok(performance.now() - begun < 740, 'the second attempt has no timeout of its own');
  assert.equal(asked.length, 2);
});

test('an abort throws the reason of the signal: before, while waiting, in the body, in back-off', async (t) => {
  const reason = new Error('enough');
  const { client, asked } = await serve(t, json(ANSWER));
  await assert.rejects(client().inference.create(BODY, { signal: AbortSignal.abort(reason) }), (error) => error === reason);
  assert.equal(asked.length, 0);
  const slowBody = (response) => response.writeHead(200).write('{');
  for (const answer of [hang, slowBody, fault(503, 'timeout', {}, { 'Retry-After': '20' })]) {
    const server = await serve(t, answer);
    const controller = new AbortController();
    const begun = performance.now();
    setTimeout(() => controller.abort(reason), 100);
    await assert.rejects(server.client().inference.create(BODY, { signal: controller.signal }), (error) => error === reason);
    assert.ok(performance.now() - begun < 2000);
    assert.equal(server.asked.length, 1);
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0, 'nothing is left on the signal');
  }
  const server = await serve(t, hang);
  await assert.rejects(server.client().inference.create(BODY, { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError', code: 23 });
});

test('a signal used for many calls gathers no listeners', async (t) => {
  const { client } = await serve(t, json(ANSWER), sse([DONE]), json(ANSWER));
  const { signal } = new AbortController();
  await client().inference.create(BODY, { signal });
  for await (const chunk of await client().inference.stream(BODY, { signal })) assert.fail(chunk);
  await client().models.list({ signal }).catch(() => {});
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a stream is asked again until it opens, and never after its first event', async (t) => {
  fast(t);
  const opens = await serve(t, fault(503, 'provider_unavailable'), cut, sse([delta('a'), COMPLETED, DONE]));
  assert.equal((await (await opens.client().inference.stream(BODY)).result()).content, 'a');
  assert.equal(opens.asked.length, 3);
  const breaks = await serve(t, sse([delta('a')], (response) => setTimeout(() => response.socket.destroy(), 20)));
  await assert.rejects((await breaks.client().inference.stream(BODY)).result(), ProviderError);
  assert.equal(breaks.asked.length, 1);
});
