import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ConnectionError, ProviderError, RateLimitError, TimeoutError } from '@prsm/sdk';
import { ANSWER, BODY, fault, line, ndjson, serve } from './helpers.js';

const stay = () => {};
const FIRST = line({ index: 1, id: 'r2', status: 'failed', error: { code: 'rate_limit', message: 'No.', details: { kind: 'requests' } } });
const SECOND = line({ index: 0, id: 'r1', status: 'completed', inference: ANSWER });
const SUMMARY = { failed: 1, usage: ANSWER.usage, cost: ANSWER.cost };
const END = line({ object: 'batch.done', ...SUMMARY });

test('batch: results in the order of their requests, each an inference or a typed error', async (t) => {
  const { client, asked } = await serve(t, ndjson([FIRST, '\n', SECOND, END], stay));
  const found = await client().inference.batch([BODY, BODY], { parallel: 4, fallbackStrategy: 'cheapest' });
  assert.deepEqual(found.map(({ id, status, content }) => [id, status, content]), [['r1', 'completed', 'Grüße'], ['r2', 'failed', '']]);
  assert.equal(found[0].inference.content, 'Grüße');
  assert.ok(found[1].error instanceof RateLimitError && found[1].error.details.kind === 'requests');
  assert.deepEqual({ failed: found.failed, usage: found.usage, cost: found.cost }, SUMMARY);
  assert.deepEqual(asked[0].body, { requests: [BODY, BODY], parallel: 4, fallback_strategy: 'cheapest' });
  assert.equal(asked[0].headers.accept, 'application/x-ndjson');
});

test('batchStream: each result when it comes, the summary last', async (t) => {
  let finish;
  const { client, asked } = await serve(t, ndjson([FIRST], (response) => {
    finish = () => response.write(SECOND + END);
  }));
  const results = client().inference.batchStream([BODY, BODY]);
  assert.equal(asked.length, 0, 'nothing is sent before somebody reads');
  const { value } = await results.next();
  assert.deepEqual([value.index, value.content, value.error.name, results.summary], [1, '', 'RateLimitError', null]);
  finish();
  assert.deepEqual((await results.next()).value, { index: 0, id: 'r1', status: 'completed', content: 'Grüße', inference: ANSWER });
  assert.equal((await results.next()).done, true);
  assert.deepEqual(results.summary, SUMMARY);
  await asked[0].closed; // although the server stays
});

test('breaking out of batchStream ends the connection', { timeout: 5000 }, async (t) => {
  const { client, asked } = await serve(t, ndjson([FIRST], stay));
  for await (const result of client().inference.batchStream([BODY])) if (result) break;
  await asked[0].closed;
});

const BREAKS = {
  'the connection is destroyed': [[SECOND], (response) => setTimeout(() => response.socket.destroy(), 20), 'truncated'],
  'the last line is cut': [[SECOND, '{"index":'], undefined, 'truncated'],
  'the end mark comes too early': [[SECOND, END], undefined, 'truncated'],
  'a line is no object': [[SECOND, 'null\n'], stay, 'malformed'],
};
for (const [name, [lines, end, kind]] of Object.entries(BREAKS)) {
  test(`what came is not lost: ${name}`, async (t) => {
    const { client } = await serve(t, ndjson(lines, end));
    const error = await client().inference.batch([BODY, BODY]).catch((caught) => caught);
    assert.ok(error instanceof ProviderError, String(error));
    assert.deepEqual([error.details.kind, error.results[0].content, error.results[1]], [kind, 'Grüße', null]);
  });
}

test('a batchStream without its last line is truncated', async (t) => {
  const { client } = await serve(t, ndjson([FIRST, SECOND]));
  const found = [];
  await assert.rejects(async () => {
    for await (const result of client().inference.batchStream([BODY, BODY])) found.push(result.id);
  }, (error) => error instanceof ProviderError && error.details.kind === 'truncated');
  assert.deepEqual(found, ['r2', 'r1']);
});

test('a fault of the whole batch is its error, before the first result and after', async (t) => {
  const error = { code: 'provider_unavailable', message: 'Stopping.', details: { kind: 'stopping' } };
  const { client } = await serve(t, fault(429, 'rate_limit', { kind: 'tokens' }), ndjson([SECOND, line({ error })], stay));
  await assert.rejects(client().inference.batch([BODY]), RateLimitError);
  await assert.rejects(client().inference.batch([BODY, BODY]), (caught) =>
    caught.message === 'Stopping.' && caught.requestId === 'req_7' && caught.results[0].id === 'r1');
});

test('the timeout bounds the silence between two results', async (t) => {
  const { client } = await serve(t, ndjson([SECOND], stay));
  await assert.rejects(client().inference.batch([BODY, BODY], { timeout: 200 }), (error) =>
    error instanceof TimeoutError && error.results[0].content === 'Grüße');
});

test('a batch waits longer than other calls, unless the client was told how long', async (t) => {
  const waits = [];
  t.mock.method(globalThis, 'setTimeout', (_, ms) => void waits.push(ms));
  const { client } = await serve(t, (response) => response.socket.destroy());
  await assert.rejects(client().inference.batch([BODY]), ConnectionError);
  await assert.rejects(client({ timeout: 9000 }).inference.batch([BODY]), ConnectionError);
  assert.deepEqual(waits.filter((ms) => ms > 8000), [300_000, 9000]);
});
