import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ProviderError } from '@prsm/sdk';
import { LARGEST, Lines, SSEParser } from '../src/sse.js';

const bytes = (text) => new TextEncoder().encode(text);
const events = (...pieces) => {
  const parser = new SSEParser();
  return pieces.flatMap((piece) => parser.push(typeof piece === 'string' ? bytes(piece) : piece));
};
const data = (...pieces) => events(...pieces).map((found) => found.data);

const STREAM = '\ufeff: hello\r\ndata: Grüße, 你好 👩‍🚀\r\n\r\nevent: error\rdata:{"a":1}\r\rdata: one\ndata\ndata:  two\u2028still\n\n';
const EXPECTED = [
  { event: 'message', data: 'Grüße, 你好 👩‍🚀' }, { event: 'error', data: '{"a":1}' },
  { event: 'message', data: 'one\n\n two\u2028still' },
];

test('the same events wherever the bytes are cut in two', () => {
  const all = bytes(STREAM);
  for (let cut = 0; cut <= all.length; cut++) {
    assert.deepEqual(events(all.slice(0, cut), all.slice(cut)), EXPECTED, `cut at ${cut}`);
  }
});

test('the same events byte by byte, with empty pieces between', () => {
  const pieces = [...bytes(STREAM)].flatMap((byte) => [Uint8Array.of(byte), new Uint8Array()]);
  assert.deepEqual(events(...pieces), EXPECTED);
});

test('comments, unknown fields and events without data are nothing', () => {
  assert.deepEqual(events(': beat\n\n', 'id: 1\nretry: 5\nevent: error\n\n', 'data: x\n\n'), [{ event: 'message', data: 'x' }]);
});

test('an event that was not closed by a blank line is not given', () => {
  assert.deepEqual(data('data: whole\n\ndata: half\n'), ['whole']);
});

test('a line feed after a carriage return in the next piece ends no second line', () => {
  assert.deepEqual(data('data: a\r', '\ndata: b\r', '\n\r', '\n'), ['a\nb']);
});

test('a line or an event above the limit is an error, just below it is not', () => {
  const tooLarge = (error) => error instanceof ProviderError && error.details.kind === 'too_large';
  const part = 'x'.repeat(LARGEST / 4 - 10);
  assert.equal(data('data: ', part, part, part, part, '\n\n')[0].length, LARGEST - 40);
  assert.throws(() => new Lines().push(bytes('x'.repeat(LARGEST + 1))), tooLarge);
  assert.throws(() => events(...Array(6).fill(part)), tooLarge);
  assert.throws(() => events(...Array(6).fill(`data: ${part}\n`)), tooLarge);
});

test('sixteen million characters in small pieces take no quadratic time', { timeout: 5000 }, () => {
  const lines = new Lines();
  const piece = bytes('x'.repeat(1024));
  for (let n = 0; n < LARGEST / 1024; n++) lines.push(piece);
  assert.equal(lines.push(bytes('\n'))[0].length, LARGEST);
});
