import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { AuthenticationError, ProviderError, PRSMError, RateLimitError, TimeoutError } from '@prsm/sdk';
import { ANSWER, BODY, COMPLETED, delta, DONE, event, fault, serve, sse } from './helpers.js';

const RESULT = { id: 'inf_1', model: 'gpt-4', provider: 'openai', finish_reason: 'stop', usage: ANSWER.usage, cost: ANSWER.cost,
  latency_ms: 12.5, ttft_ms: 3, cached: false };
const stay = () => {};

async function open(t, ...args) {
  const server = await serve(t, sse(...args));
  return { ...server, stream: await server.client().inference.stream(BODY) };
}

async function texts(stream) {
  const found = [];
  for await (const chunk of stream) found.push(chunk.content);
  return found;
}

test('chunks as they come, then the result', async (t) => {
  const { stream, asked } = await open(t, [': beat\n\n', delta('Once'), delta(' upon'), COMPLETED, DONE]);
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.deepEqual(chunks.map(({ content, delta, finish_reason }) => [content, delta, finish_reason]),
    [['Once', { content: 'Once' }, null], [' upon', { content: ' upon' }, null], ['', {}, 'stop']]);
  assert.deepEqual(await stream.result(), { ...RESULT, content: 'Once upon' });
  assert.deepEqual([asked[0].url, asked[0].headers.accept], ['/v1/inference/stream', 'text/event-stream']);
  assert.deepEqual(asked[0].body, BODY);
});

test('result before, after, beside and instead of the loop: no chunk is lost', async (t) => {
  const written = [delta('a'), delta('b'), delta('c'), COMPLETED, DONE];
  const before = await open(t, written);
  assert.equal((await before.stream.result()).content, 'abc');
  assert.deepEqual(await texts(before.stream), ['a', 'b', 'c', '']);
  const beside = await open(t, written);
  const [found, result] = await Promise.all([texts(beside.stream), beside.stream.result()]);
  assert.deepEqual(found, ['a', 'b', 'c', '']);
  assert.equal(result.content, 'abc');
  const midway = await open(t, written);
  assert.equal((await midway.stream[Symbol.asyncIterator]().next()).value.content, 'a');
  assert.equal((await midway.stream.result()).content, 'abc');
});

test('a chunk is given when it comes, not when the stream ends', async (t) => {
  let finish;
  const { stream } = await open(t, [delta('first')], (response) => {
    finish = () => response.end(COMPLETED + DONE);
  });
  const iterator = stream[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value.content, 'first');
  finish();
  assert.equal((await iterator.next()).value.content, '');
  assert.equal((await iterator.next()).done, true);
});

test('text is whole when the socket cuts it at every byte', async (t) => {
  const all = Buffer.from(delta('Grüße 你好 👩‍🚀\u2028') + COMPLETED + DONE);
  const { stream } = await open(t, [], async (response) => {
    response.socket.setNoDelay(true);
    for (const byte of all) {
      response.write(Buffer.of(byte));
      await pause(0);
    }
    response.end();
  });
  assert.equal((await stream.result()).content, 'Grüße 你好 👩‍🚀\u2028');
});

test('[DONE] ends the stream even if the server stays, and its connection is given back', async (t) => {
  const { stream, asked } = await open(t, [delta('a'), COMPLETED, DONE], stay);
  assert.deepEqual(await texts(stream), ['a', '']);
  await asked[0].closed;
});

test('deltas without text, a restart, tool calls in pieces', async (t) => {
  const piece = (delta) => event({ choices: [{ delta }] });
  const call = (id, name, text, index = 0) => piece({ tool_calls: [{ index, id, function: { name, arguments: text } }] });
  const { stream } = await open(t, [delta('void'), call('old', 'x', '{}'), piece({ restart: 'target' }), piece({ reasoning: 'hm' }),
    delta('new'), piece({ content: null }), call('call_1', 'add', '{"a"'), call(undefined, undefined, ':1}'),
    call('call_2', 'sub', '{}', 1), event({ id: 'inf_1' }), COMPLETED, DONE]);
  assert.deepEqual(await texts(stream), ['void', '', '', '', 'new', '', '', '', '', '', '']);
  const { content, tool_calls } = await stream.result();
  assert.equal(content, 'new');
  assert.deepEqual(tool_calls, [{ id: 'call_1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } },
    { id: 'call_2', type: 'function', function: { name: 'sub', arguments: '{}' } }]);
});

const ENDS = [
  ['closed cleanly', (response) => response.end()],
  ['closed after completed', (response) => response.end(COMPLETED)],
  ['cut inside an event', (response) => response.end('data: {"choi')],
  ['connection destroyed', (response) => setTimeout(() => response.socket.destroy(), 20)],
];
for (const [name, end] of ENDS) {
  test(`without [DONE] it is truncated, and the text is kept: ${name}`, async (t) => {
    const { stream } = await open(t, [delta('half an ')], end);
    const isIt = (error) => error instanceof ProviderError && error.code === 'provider_unavailable' && error.status === null &&
      error.details.kind === 'truncated' && error.partial === 'half an ' && error.requestId === 'req_7';
    const found = [];
    await assert.rejects(async () => {
      for await (const chunk of stream) found.push(chunk.content);
    }, isIt);
    assert.equal(found[0], 'half an ');
    await assert.rejects(stream.result(), isIt);
  });
}

test('an error event is the typed error, with what came before', async (t) => {
  const error = { code: 'rate_limit', message: 'Slow down.', details: { provider: 'openai' } };
  const { stream } = await open(t, [delta('so far'), `event: error\n${event({ error })}`], stay);
  await assert.rejects(texts(stream), (caught) =>
    caught instanceof RateLimitError && caught.message === 'Slow down.' && caught.partial === 'so far' && caught.status === null);
});

test('a fault before the first token is an ordinary error of stream()', async (t) => {
  const { client } = await serve(t, fault(401, 'authentication'));
  await assert.rejects(client().inference.stream(BODY), AuthenticationError);
});

test('what cannot be read ends the connection too', { timeout: 5000 }, async (t) => {
  const { stream, asked } = await open(t, [delta('a'), event({ choices: [{ delta: { tool_calls: 7 } }] })], stay);
  await assert.rejects(texts(stream), TypeError);
  await asked[0].closed;
});

for (const data of ['nonsense', 'null', '7']) {
  test(`an event of ${data} is a malformed stream`, async (t) => {
    const { stream, asked } = await open(t, [delta('a'), `data: ${data}\n\n`], stay);
    await assert.rejects(texts(stream), (error) => error.details.kind === 'malformed' && error.partial === 'a');
    await asked[0].closed;
  });
}

test('breaking out, throwing, and close() end the connection', { timeout: 5000 }, async (t) => {
  const ways = [
    async (stream) => {
      for await (const chunk of stream) if (chunk) break;
    },
    (stream) => assert.rejects(async () => {
      for await (const chunk of stream) throw new Error(chunk.content);
    }, /^Error: a$/),
    (stream) => stream.close(), // never read
    async (stream) => {
      const waiting = texts(stream); // reading while it is closed
      await pause(50);
      stream.close();
      assert.deepEqual(await waiting, ['a']);
    },
  ];
  for (const way of ways) {
    const { stream, asked } = await open(t, [delta('a')], stay);
    await way(stream);
    await asked[0].closed;
    await assert.rejects(stream.result(), (error) => error instanceof PRSMError && error.code === 'closed');
    assert.deepEqual(await texts(stream), []);
    stream.close();
  }
});

test('an abort throws the reason of its signal, whatever that is', async (t) => {
  for (const reason of [new Error('enough'), 'text', null]) {
    const controller = new AbortController();
    const { client, asked } = await serve(t, sse([delta('a')], stay));
    const stream = await client().inference.stream(BODY, { signal: controller.signal });
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    setTimeout(() => controller.abort(reason), 30);
    await assert.rejects(iterator.next(), (error) => error === reason).catch((error) => {
      if (reason !== null) throw error; // assert.rejects itself cannot take null
    });
    assert.equal(await stream.result().catch((error) => error), reason);
    await asked[0].closed;
  }
});

test('the timeout bounds each silence, not the whole stream nor a slow reader; heartbeats are no silence', async (t) => {
  const { client } = await serve(t, sse([delta('a')], async (response) => {
    for (let n = 0; n < 5; n++) {
      await pause(100);
      response.write(': beat\n\n');
    }
    response.write(delta('b'));
  }));
  const stream = await client({ timeout: 300 }).inference.stream(BODY);
  const found = [];
  await assert.rejects(async () => {
    for await (const chunk of stream) {
      found.push(chunk.content);
      await pause(350);
    }
  }, (error) => error instanceof TimeoutError && error.partial === 'ab');
  assert.deepEqual(found, ['a', 'b']);
});
