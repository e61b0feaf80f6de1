/** When to ask again, and how long to wait before. */
import { ConflictError, ConnectionError } from './errors.js';

const UNSURE = new Set([500, 502, 504]);
const FIRST = 500;
const LONGEST = 8000;
// Failures of which it is certain that no request left this machine.
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT']);
const DAY = 86_400; // a longer hint means "do not", and timers end at 24 days

/**
 * Milliseconds to wait before the next attempt, or null where another attempt would be wrong.
 * Full jitter, so that many clients do not come back at the same moment; Retry-After is a floor.
 * @param {unknown} error
 * @param {number} attempt 0 after the first attempt.
 * @param {boolean} repeatable Whether a request whose reply was lost may be sent again without paying twice.
 * @returns {number|null}
 */
export function retryDelay(error, attempt, repeatable) {
  if (!mayRetry(error, repeatable)) return null;
  const jitter = Math.random() * Math.min(LONGEST, FIRST * 2 ** attempt);
  return Math.max(jitter, (error.retryAfter ?? 0) * 1000);
}

function mayRetry(error, repeatable) {
  if (error instanceof ConnectionError) return repeatable || NEVER_SENT.has(error.cause?.cause?.code);
  // Without a hint, a limit on tokens says that this request never fits into a minute.
  if (error.status === 429) return error.details.kind !== 'tokens' || error.retryAfter !== null;
  // The same question is still being answered under this idempotency key.
  if (error instanceof ConflictError) return error.retryAfter !== null;
  // Who says 503 has not answered; after the others nobody knows what was done.
  return error.status === 503 || (repeatable && UNSURE.has(error.status));
}

/**
 * Seconds of `Retry-After` (a number or an HTTP date) or of the server's own header; null without a usable one.
 * @param {Headers} headers
 * @returns {number|null}
 */
export function retryAfter(headers) {
  for (const name of ['Retry-After', 'X-RateLimit-Retry-After']) {
    const text = headers.get(name)?.trim();
    if (!text) continue;
    const seconds = /^[\d.]+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
    // The server's own header is on every answer; there, 0 means that it has no hint.
    if (name !== 'Retry-After' && seconds === 0) continue;
    if (Number.isFinite(seconds)) return Math.min(Math.max(0, seconds), DAY);
  }
  return null;
}
