/** A server of real sockets that answers what a test tells it, and remembers what it was asked. */
import { createServer } from 'node:http';
import { once } from 'node:events';

import { PRSM } from '@prsm/sdk';

export const BODY = { model: 'gpt-4', messages: [{ role: 'user', content: 'Hi' }] };
export const ANSWER = {
  id: 'inf_1', object: 'inference', created: 1, model: 'gpt-4', provider: 'openai',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Grüße' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }, cost: { amount: null, currency: 'USD' },
};

/**
 * `answers` are called in turn, the last one again and again: (response, request, body) => void.
 * @returns {Promise<{url, client, asked}>}
 */
export async function serve(t, ...answers) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const text = Buffer.concat(pieces).toString();
    asked.push({ method: request.method, url: request.url, headers: request.headers, body: text && JSON.parse(text),
      at: performance.now(), closed: once(response, 'close') });
    answers[Math.min(asked.length, answers.length) - 1](response, request);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, asked, client: (options) => new PRSM({ apiKey: 'pk_secret', baseURL: url, ...options }) };
}

/** An answer of JSON. */
export const json = (value, status = 200, headers = {}) => (response) =>
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(value));

/** An answer of the error body. */
export const fault = (status, code, details = {}, headers = {}) =>
  json({ error: { code, message: `It was ${code}.`, details } }, status, headers);

/** An answer in pieces: texts as written, then whatever `end` does. */
const pieces = (type) => (texts, end = (response) => response.end()) => (response) => {
  response.writeHead(200, { 'Content-Type': type, 'X-Request-Id': 'req_7' });
  response.flushHeaders();
  for (const text of texts) response.write(text);
  end(response);
};
export const sse = pieces('text/event-stream; charset=utf-8');
export const ndjson = pieces('application/x-ndjson');
export const line = (value) => `${JSON.stringify(value)}\n`;

export const event = (value) => `data: ${JSON.stringify(value)}\n\n`;
export const delta = (content) => event({ id: 'inf_1', object: 'inference.delta', choices: [{ delta: { content } }] });
export const COMPLETED = event({
  id: 'inf_1', object: 'inference.completed', model: 'gpt-4', provider: 'openai', usage: ANSWER.usage, cost: ANSWER.cost,
  choices: [{ delta: {}, finish_reason: 'stop' }], latency_ms: 12.5, ttft_ms: 3, cached: false,
});
export const DONE = 'data: [DONE]\n\n';

/** An address at which nobody listens. (Low ports will not do: fetch refuses them itself.) */
export async function nowhere() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  server.close();
  await once(server, 'close');
  return url;
}
