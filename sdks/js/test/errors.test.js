import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as sdk from '@prsm/sdk';
import { BODY, fault, serve } from './helpers.js';

const CASES = [
  [400, 'invalid_request', 'InvalidRequestError'], [400, 'schema', 'SchemaError'], [413, 'invalid_request', 'InvalidRequestError'],
  [401, 'authentication', 'AuthenticationError'], [402, 'insufficient_credits', 'InsufficientCreditsError'],
  [402, 'budget_exceeded', 'BudgetExceededError'], [404, 'not_found', 'NotFoundError'], [409, 'conflict', 'ConflictError'],
  [429, 'rate_limit', 'RateLimitError'], [500, 'internal', 'InternalError'], [503, 'provider_unavailable', 'ProviderError'],
  [503, 'timeout', 'TimeoutError'],
];

for (const [status, code, name] of CASES) {
  test(`${status} ${code} is a ${name}`, async (t) => {
    const { client } = await serve(t, fault(status, code, { provider: 'openai', parameter: 'model' }, { 'X-Request-Id': 'req_9' }));
    const error = await client({ maxRetries: 0 }).inference.create(BODY).catch((caught) => caught);
    assert.equal(error.constructor, sdk[name]);
    assert.ok(error instanceof sdk.PRSMError && error instanceof Error);
    const { message, requestId, retryAfter } = error;
    assert.deepEqual([error.name, error.code, error.status, message, requestId, retryAfter],
      [name, code, status, `It was ${code}.`, 'req_9', null]);
    assert.equal(error.details.parameter, 'model');
    if (status === 503) assert.equal(error.provider, 'openai');
  });
}

const BARE = [
  [400, 'InvalidRequestError'], [401, 'AuthenticationError'], [402, 'InsufficientCreditsError'], [403, 'AuthenticationError'],
  [404, 'NotFoundError'], [405, 'InvalidRequestError'], [409, 'ConflictError'], [413, 'InvalidRequestError'],
  [429, 'RateLimitError'], [500, 'InternalError'], [502, 'ProviderError'], [503, 'ProviderError'], [504, 'ProviderError'],
];

for (const body of ['<h1>Bad Gateway</h1>', '', 'null', '[]', '{"error": "text"}', '{"error": {"code": 7, "details": 3}}']) {
  test(`a body of ${body || 'nothing'} still gives the error of its status`, async (t) => {
    let status;
    const { client } = await serve(t, (response) => response.writeHead(status).end(body));
    for (const [number, name] of BARE) {
      status = number;
      const error = await client({ maxRetries: 0 }).models.list().catch((caught) => caught);
      assert.equal(error.name, name, `${number}`);
      assert.equal(error.status, number);
      assert.match(error.message, new RegExp(number));
    }
  });
}

test('an unknown code keeps its name and takes the class of its status', async (t) => {
  const { client } = await serve(t, fault(404, 'gone_fishing'));
  const error = await client().models.list().catch((caught) => caught);
  assert.deepEqual([error.name, error.code], ['NotFoundError', 'gone_fishing']);
});

test('the tree is that of the Python package', () => {
  assert.ok(new sdk.TimeoutError('') instanceof sdk.ProviderError);
  assert.ok(new sdk.BudgetExceededError('') instanceof sdk.InsufficientCreditsError);
  assert.ok(new sdk.SchemaError('') instanceof sdk.InvalidRequestError);
});
