import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import * as sdk from '@prsm/sdk';

test('index.d.ts names every class that the package exports, and no other', async () => {
  const types = await readFile(new URL('../index.d.ts', import.meta.url), 'utf8');
  const named = [...types.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(named.sort(), Object.keys(sdk).sort());
});

test('index.d.ts names every method that the client has', async () => {
  const types = await readFile(new URL('../index.d.ts', import.meta.url), 'utf8');
  const client = new sdk.PRSM({ apiKey: 'k', baseURL: 'http://h' });
  for (const part of [client.inference, client.models, client.keys]) {
    for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(part))) {
      if (name !== 'constructor') assert.match(types, new RegExp(`^    ${name}\\(`, 'm'));
    }
  }
});
