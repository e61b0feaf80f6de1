import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';

import { AuthenticationError, InternalError, InvalidRequestError, PRSM } from '@prsm/sdk';
import { ANSWER, BODY, json, nowhere, serve } from './helpers.js';

test('create sends the body as it is and gives the answer with its content', async (t) => {
  const { client, asked } = await serve(t, json(ANSWER));
  const answer = await client().inference.create(BODY);
  assert.equal(answer.content, 'Grüße');
  assert.deepEqual(JSON.parse(JSON.stringify(answer)), ANSWER);
  const [{ method, url, headers, body }] = asked;
  assert.deepEqual([method, url, body], ['POST', '/v1/inference', BODY]);
  assert.equal(headers.authorization, 'Bearer pk_secret');
  assert.equal(headers['content-type'], 'application/json');
  assert.match(headers['idempotency-key'], /^[0-9a-f-]{36}$/);
});

test('content is "" where there is no text', async (t) => {
  const calls = { ...ANSWER, choices: [{ message: { role: 'assistant', content: null, tool_calls: [] } }] };
  const { client } = await serve(t, json(calls), json({ id: 'inf_1', status: 'running' }, 202), json({ status: 'running' }));
  assert.equal((await client().inference.create(BODY)).content, '');
  assert.equal((await client().inference.create({ ...BODY, background: true })).content, '');
  assert.equal((await client().inference.get('inf_1')).content, '');
});

test('without crypto.randomUUID, as in a browser on plain http, each create still has its own key', async (t) => {
  const { client, asked } = await serve(t, json(ANSWER));
  Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true });
  t.after(() => delete crypto.randomUUID);
  await client().inference.create(BODY);
  await client().inference.create(BODY);
  const keys = asked.map(({ headers }) => headers['idempotency-key']);
  assert.match(keys[0], /^\d+-\d+-\d+-\d+$/);
  assert.notEqual(keys[0], keys[1]);
});

test('the other calls ask as the contract says', async (t) => {
  const { client, asked } = await serve(t, json({ data: [{ id: 'm' }], result: { content: 'kept' } }));
  const { inference, models } = client();
  assert.equal((await inference.get('inf/1')).content, 'kept');
  await inference.analytics({ timeframe: 'last_30_days', metrics: ['requests', 'tokens'], groupBy: ['model', 'day'] });
  await inference.analytics();
  await inference.performance({ model: 'a/b', provider: 'openai', timeframe: 'all' });
  await inference.configureProviders({ primary: 'openai' });
  assert.deepEqual(await models.list(), [{ id: 'm' }]);
  await models.get('meta/llama 3');
  assert.deepEqual(asked.map(({ method, url }) => `${method} ${url}`), [
    'GET /v1/inference/inf%2F1',
    'GET /v1/inference/analytics?timeframe=last_30_days&metrics=requests%2Ctokens&group_by=model%2Cday',
    'GET /v1/inference/analytics',
    'GET /v1/inference/performance?model=a%2Fb&provider=openai&timeframe=all',
    'PUT /v1/inference/providers',
    'GET /v1/models',
    'GET /v1/models/meta/llama%203',
  ]);
  assert.deepEqual(asked[4].body, { primary: 'openai' });
  assert.equal(asked[0].headers['content-type'], undefined);
});

test('keys are made, looked up, exchanged and ended', async (t) => {
  const { client, asked } = await serve(t, json({ data: [{ id: 'k1' }], id: 'k1', key: 'pk_new' }));
  const { keys } = client();
  assert.equal((await keys.create({ name: 'ana', tier: 'Pro', expires: '7d' })).key, 'pk_new');
  assert.deepEqual(await keys.list(), [{ id: 'k1' }]);
  await keys.me();
  await keys.rotate('k1');
  await keys.revoke('k1');
  assert.deepEqual(asked.map(({ method, url }) => `${method} ${url}`), ['POST /v1/keys', 'GET /v1/keys', 'GET /v1/keys/me',
    'POST /v1/keys/k1/rotate', 'DELETE /v1/keys/k1']);
  assert.deepEqual([asked[0].body, asked[3].body], [{ name: 'ana', tier: 'Pro', expires: '7d' }, '']);
});

test("a proxy's token takes Authorization, and the key its own header", async (t) => {
  const { client, asked } = await serve(t, json({ data: [] }));
  await client({ proxyToken: 'jupyter' }).keys.list();
  await client().keys.list();
  const sent = asked.map(({ headers }) => [headers.authorization, headers['x-api-key']]);
  assert.deepEqual(sent, [['Bearer jupyter', 'pk_secret'], ['Bearer pk_secret', undefined]]);
});

test('a base URL may hold a prefix, and a tail that is cut off', () => {
  const base = (baseURL) => new PRSM({ apiKey: 'k', baseURL }).baseURL;
  assert.equal(base('http://h:1/'), 'http://h:1');
  assert.equal(base('http://h:1/lab/v1/'), 'http://h:1/lab');
  assert.equal(base('http://h:1/v1/inference'), 'http://h:1');
  assert.equal(base('http://h:1/v1/x?y=1#z'), 'http://h:1/v1/x');
});

test('key and address come from the environment; without them the error names both remedies', (t) => {
  t.after(() => {
    delete process.env.PRSM_API_KEY;
    delete process.env.PRSM_API_URL;
  });
  delete process.env.PRSM_API_KEY;
  delete process.env.PRSM_API_URL;
  assert.throws(() => new PRSM({ baseURL: 'http://h' }),
    (error) => error instanceof AuthenticationError && /new PRSM\(\{ apiKey \}\).*PRSM_API_KEY/.test(error.message));
  assert.throws(() => new PRSM({ apiKey: 'k' }),
    (error) => error instanceof InvalidRequestError && /new PRSM\(\{ baseURL \}\).*PRSM_API_URL/.test(error.message));
  process.env.PRSM_API_KEY = 'k';
  process.env.PRSM_API_URL = 'http://h';
  assert.equal(new PRSM().baseURL, 'http://h');
});

test('the key does not show, neither in the client nor in errors', async () => {
  const client = new PRSM({ apiKey: 'pk_secret', baseURL: await nowhere(), maxRetries: 0 });
  const error = await client.inference.create(BODY).catch((caught) => caught);
  for (const value of [client, client.inference, client.models, client.keys, error]) {
    for (const text of [inspect(value, { depth: null, showHidden: true }), JSON.stringify(value), String(value)]) {
      assert.doesNotMatch(text, /secret/);
    }
  }
  for (const apiKey of ['pk_sec\nret', 'pk_secret ü']) {
    assert.throws(() => new PRSM({ apiKey, baseURL: 'http://h' }),
      (caught) => caught instanceof AuthenticationError && !inspect(caught).includes('pk_sec\n') && !inspect(caught).includes('ü'));
  }
});

test('a proxy that shows what it was sent does not show the key', async (t) => {
  const echo = (response, { headers }) => response.writeHead(500, { 'Content-Type': 'text/html' }).end(`<pre>${headers.authorization}`);
  const envelope = (response, { headers }) =>
    json({ error: { code: 'internal', message: headers.authorization, details: { seen: headers.authorization } } }, 500)(response);
  const page = (response, { headers }) => response.writeHead(200, { 'Content-Type': 'text/html' }).end(headers.authorization);
  for (const answer of [echo, envelope, page]) {
    const { client } = await serve(t, answer);
    const error = await client({ maxRetries: 0 }).models.list().catch((caught) => caught);
    assert.match(inspect(error), /\[key\]/);
    assert.doesNotMatch(inspect(error) + JSON.stringify(error) + error.stack, /secret/);
  }
});

test('what cannot be right is refused before anything is sent', async (t) => {
  const { client, asked, url } = await serve(t, json(ANSWER));
  const { inference, models } = client();
  for (const options of [{ timeout: 0 }, { timeout: '5' }, { timeout: NaN }, { maxRetries: -1 }, { maxRetries: 1.5 },
    { baseURL: 'ftp://h' }, { baseURL: 'h:8000' }, { baseURL: 'http://ana:secret@h' }]) {
    assert.throws(() => new PRSM({ apiKey: 'k', baseURL: url, ...options }), InvalidRequestError, inspect(options));
  }
  const wrong = [
    () => inference.create(), () => inference.create('Hi'), () => inference.create([]), () => inference.stream(null),
    () => inference.create(BODY, { idempotencyKey: 'x'.repeat(129) }), () => inference.create(BODY, { idempotencyKey: 'a\nb' }),
    () => inference.create(BODY, { timeout: -1 }), () => inference.batch({}), () => inference.get(''), () => inference.get('..'),
    () => models.get('a/../b'), () => models.get(), () => inference.configureProviders(), () => client().keys.create('ana'),
    () => client().keys.revoke(''),
  ];
  for (const call of wrong) await assert.rejects(call, InvalidRequestError, String(call));
  assert.equal(asked.length, 0);
});

const page = (response) => response.setHeader('Content-Type', 'text/html').end('<html>');
for (const [name, ask] of Object.entries({
  json: (client) => client.models.list(),
  stream: (client) => client.inference.stream(BODY),
  batch: (client) => client.inference.batch([BODY]),
})) {
  test(`a page that is no PRSM server is told apart: ${name}`, async (t) => {
    const { client, asked } = await serve(t, page);
    await assert.rejects(ask(client()), (error) =>
      error instanceof InternalError && /baseURL/.test(error.message) && error.details.body === '<html>');
    assert.equal(asked.length, 1);
  });
}

test('JSON that is no object is no answer', async (t) => {
  const { client } = await serve(t, json('text'));
  await assert.rejects(client().models.list(), InternalError);
});

test('a redirect names where it leads', async (t) => {
  const { client, asked } = await serve(t, (response) => response.writeHead(301, { Location: 'https://new/v1' }).end());
  await assert.rejects(client().inference.create(BODY), (error) =>
    error instanceof InvalidRequestError && error.status === 301 && /https:\/\/new/.test(error.message));
  assert.equal(asked.length, 1);
});
